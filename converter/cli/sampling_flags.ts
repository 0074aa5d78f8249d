import { InvalidArgumentError, type Command } from 'commander';
import { RuntimeError } from '../../backends/client/errors.ts';
import { samplingOf, type SamplingOptions } from '../../backends/client/generation/sampling.ts';
import { UsageError } from '../errors.ts';
import { wholeNumber } from './options.ts';
import { collecting } from './repeats.ts';

/** What `withSampling` adds. */
export interface SamplingFlags extends SamplingOptions {
  /** Texts that end an answer. */
  readonly stop?: readonly string[];
}

/** Options of how tokens are chosen: those of `pgconv/runtime` and `pgconv/tfjs`. */
export function withSampling(command: Command): Command {
  return command
    .option('--temperature <t>', 'draw tokens, the more freely the higher (default: 0, always the likeliest)', number)
    .option('--top-k <k>', 'of the k likeliest tokens', wholeNumber(0))
    .option('--top-p <p>', 'then of the fewest that have probability p together', number)
    .option('--min-p <p>', 'then of those that have p times the likeliest one’s', number)
    .option('--repetition-penalty <x>', 'divide logits of tokens that are there already by it', number)
    .option('--seed <n>', 'of the random numbers: the same seed gives the same answer (default: 0)', wholeNumber(0))
    .addOption(
      collecting('--stop <text>', 'end the answer before this text; may be given again', (text) => {
        if (text === '') throw new InvalidArgumentError('give a text.');
        return text;
      }),
    );
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('give a number.');
  return value;
}

/** The options among flags. @throws UsageError `bad_sampling` for those that mean nothing */
export function samplingFlags(flags: SamplingFlags): SamplingOptions {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = flags;
  try {
    const all = samplingOf({ ...flags });
    const draws = [topK, topP, minP, seed].some((value) => value !== undefined);
    if (all.temperature === 0 && draws)
      throw new UsageError('bad_sampling', 'top-k, top-p, min-p and seed are of draws, and the temperature is 0', {
        hint: 'give --temperature too, or leave them out',
      });
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    throw new UsageError('bad_sampling', error.problem, error.hint === undefined ? {} : { hint: error.hint });
  }
  return {
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(minP !== undefined && { minP }),
    ...(repetitionPenalty !== undefined && { repetitionPenalty }),
    ...(seed !== undefined && { seed }),
  };
}
