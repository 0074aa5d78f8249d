import type { ProgramMetadata } from '../../ir/graph.ts';
import { tensorOf } from '../../ir/tensor.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import { padLeft } from '../../verify/prompt.ts';
import { decodeImage } from '../images/decode.ts';
import { toPixelValues } from '../../backends/client/images/pixels.ts';
import { PROCESSORS, type Processor } from '../../backends/client/images/processor.ts';
import type { Inputs } from '../inputs/inputs.ts';
import type { Sample } from './samples.ts';
import { buildPrompt } from '../text/prompt.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/**
 * Pictures and prompts with the original's answers as cases of verification: the next-token distributions at the
 * prompt's end and at each token of the answer, which is read on whatever a model would say (teacher forcing). For
 * quality, as people see it.
 */
export function sampleCases(
  samples: readonly Sample[],
  tokenizer: Tokenizer,
  { imageSize, imageTokens, imageTokenId, padTokenId }: ProgramMetadata,
  inputs: Inputs,
  processor: Processor = PROCESSORS.huggingface,
): Promise<VerifyCase[]> {
  const { mode } = processor;
  return Promise.all(
    samples.map(async ({ image, name, prompt, reference }, i) => {
      const pixels = toPixelValues(await decodeImage(image, { mode, inputs }), imageSize, processor);
      const answer = tokenizer.encode(reference);
      return {
        name: `sample ${i + 1}, ${name}`,
        pixelValues: { dtype: 'f32' as const, shape: [1, 3, imageSize, imageSize], data: pixels },
        ...padLeft([buildPrompt(tokenizer, { imageTokens, prompt, mode })], padTokenId),
        imageTokenId,
        ...(answer.length > 0 && { suffixIds: tensorOf('i64', [1, answer.length], answer) }),
        maxNewTokens: 0,
        logitsToKeep: 1,
      };
    }),
  );
}
