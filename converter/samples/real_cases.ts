import type { ProgramMetadata } from '../../ir/graph.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import { defaultSamples } from './default_samples.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { sampleCases } from './sample_cases.ts';
import { readSamples } from './samples.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** Greedy steps after each built-in prompt. */
const NEW_TOKENS = 4;

/**
 * Cases such as people have, on which the quality of codes is judged: random tokens leave any model undecided. Those of
 * a samples file, else the built-in pictures and prompts; undefined without a tokenizer, whose ids alone mean
 * something.
 */
export async function realCases(
  samples: string | undefined,
  tokenizer: Tokenizer | undefined,
  metadata: ProgramMetadata,
  processor: Processor,
  inputs: Inputs,
): Promise<readonly VerifyCase[] | undefined> {
  if (!tokenizer) return undefined;
  if (samples !== undefined)
    return sampleCases(await readSamples(samples, inputs), tokenizer, metadata, inputs, processor);
  return Promise.all(
    defaultSamples(metadata, { tokenizer, processor }).map(async ({ name, load }) => {
      const prompt = await load();
      return {
        ...prompt,
        name,
        maxNewTokens: NEW_TOKENS,
        logitsToKeep: prompt.inputIds.data.filter((id) => id !== prompt.imageTokenId).length,
      };
    }),
  );
}
