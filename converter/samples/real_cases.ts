import type { ProgramMetadata } from '../../ir/graph.ts';
import { isRowCostly, type VerifyCase } from '../../verify/cases.ts';
import { defaultSamples, judgedSamples } from './default_samples.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { sampleCases } from './sample_cases.ts';
import { readSamples, withoutShown, type Sample } from './samples.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/**
 * Greedy steps after each built-in prompt: answers that do not end before are 16 times as many positions, more than the
 * 200 that a mean is to be of.
 */
const NEW_TOKENS = 16;
/** Positions that a mean is of at least, where the samples have as many. */
const POSITIONS = 200;
/** Samples that judge a model of real size. */
const FEW_SAMPLES = 5;
/** The same of a model of real size, of which each takes the reference a minute. */
const FEW_TOKENS = 4;

/**
 * Cases such as people have, on which the quality of codes is judged: random tokens leave any model undecided. Those of
 * a samples file, else the built-in pictures with what the model itself says of them; a model of real size says a few
 * tokens to four of them.
 * @param shown pictures that chose codes: they do not judge them
 */
export async function realCases(
  samples: string | undefined,
  tokenizer: Tokenizer | undefined,
  metadata: ProgramMetadata,
  processor: Processor,
  inputs: Inputs,
  shown: ReadonlySet<string> = new Set(),
): Promise<readonly VerifyCase[]> {
  const options = { tokenizer, processor };
  const isCostly = isRowCostly(metadata);
  if (samples !== undefined && tokenizer) {
    // an answer has a token and its end at least
    const most = shown.size + (isCostly ? FEW_SAMPLES : POSITIONS / 2);
    const all = await withoutShown(await readSamples(samples, inputs, most), shown);
    const judging = isCostly ? all.slice(0, FEW_SAMPLES) : enough(all, tokenizer);
    if (judging.length > 0) return sampleCases(judging, tokenizer, metadata, inputs, processor);
  }
  const set = isCostly && tokenizer ? defaultSamples(metadata, options) : judgedSamples(metadata, options);
  return Promise.all(
    set.map(async ({ name, load }) => {
      const prompt = await load();
      return {
        ...prompt,
        name,
        maxNewTokens: metadata.retrievalWidth === undefined ? (isCostly ? FEW_TOKENS : NEW_TOKENS) : 0,
        // where it writes, it was trained to; a model of real size writes little, and its prompt has to do as well
        logitsToKeep: isCostly ? prompt.inputIds.data.filter((id) => id !== prompt.imageTokenId).length : 1,
      };
    }),
  );
}

/** The first samples whose answers have positions enough. */
function enough(samples: readonly Sample[], tokenizer: Tokenizer): readonly Sample[] {
  let positions = 0;
  return samples.filter(({ reference }) => {
    const before = positions;
    positions += 1 + tokenizer.encode(reference).length;
    return before < POSITIONS;
  });
}
