import type { ProgramMetadata } from '../../ir/graph.ts';
import { tensorOf } from '../../ir/tensor.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import { PROCESSORS, type Processor } from '../../backends/client/images/processor.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { picturePrompt } from './picture_prompt.ts';
import type { Sample } from './samples.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/**
 * Pictures and prompts with the original's answers as cases of verification: the next-token distributions at the
 * prompt's end and at each token of the answer, which is read on whatever a model would say (teacher forcing). For
 * quality, as people see it.
 */
export function sampleCases(
  samples: readonly Sample[],
  tokenizer: Tokenizer,
  metadata: ProgramMetadata,
  inputs: Inputs,
  processor: Processor = PROCESSORS.huggingface,
): Promise<VerifyCase[]> {
  return Promise.all(
    samples.map(async ({ image, name, prompt, reference }, i) => {
      const answer = tokenizer.encode(reference);
      return {
        name: `sample ${i + 1}, ${name}`,
        ...(await picturePrompt(image, prompt, { metadata, tokenizer, processor, inputs })),
        ...(answer.length > 0 && { suffixIds: tensorOf('i64', [1, answer.length], answer) }),
        maxNewTokens: 0,
        logitsToKeep: 1,
      };
    }),
  );
}
