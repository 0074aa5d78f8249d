import { RuntimeError } from '../../backends/client/errors.ts';
import { promptIds, type PromptOptions } from '../../backends/client/text/prompt.ts';
import { UsageError } from '../errors.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Ids of a PaliGemma prompt, as the runtimes make them. @throws UsageError where they refuse it */
export function buildPrompt(tokenizer: Tokenizer, options: PromptOptions): number[] {
  try {
    return promptIds(tokenizer, options);
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    const { problem, hint } = error;
    throw new UsageError('bad_prompt', problem, hint === undefined ? {} : { hint });
  }
}
