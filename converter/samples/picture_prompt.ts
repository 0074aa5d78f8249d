import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Prompt } from '../../verify/prompt.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import { decodeImage } from '../images/decode.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { buildPrompt } from '../text/prompt.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { promptOf } from './calibration_sample.ts';

/** What a picture's pixels and a prompt's tokens follow from. */
export interface PromptMakers {
  readonly metadata: ProgramMetadata;
  readonly tokenizer: Tokenizer;
  readonly processor: Processor;
  /** Which the picture is among. */
  readonly inputs: Inputs;
}

/** The row of a picture's file and a prompt. @throws BadInputError for a damaged picture */
export async function picturePrompt(
  image: string,
  prompt: string,
  { metadata, tokenizer, processor, inputs }: PromptMakers,
): Promise<Prompt> {
  const { mode } = processor;
  return promptOf(
    await decodeImage(image, { mode, inputs }),
    buildPrompt(tokenizer, { imageTokens: metadata.imageTokens, prompt, mode }),
    metadata,
    processor,
  );
}
