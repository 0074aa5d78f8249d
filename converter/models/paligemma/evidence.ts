import { BadInputError } from '../../errors.ts';
import type { KnownTokens } from '../../sidecars/known_tokens.ts';
import type { Inference } from '../family.ts';
import type { PaliGemmaConfig } from './config.ts';

/** Sizes of a model, and where each was read. */
export interface Inferred {
  readonly config: PaliGemmaConfig;
  readonly inferences: readonly Inference[];
}

/** What is known of the table of tokens beside the checkpoint's weights. */
export interface TableFacts {
  /** Of the tokenizer that the bundle gets. */
  readonly tokens?: KnownTokens | undefined;
  /** Rows of the longest table among the adapters; 0 for none. */
  readonly adapterRows?: number;
  /** Tensors that the user leaves out. */
  readonly leaveOut?: readonly string[];
}

/** Collects where each size came from, and holds shapes against what config.json claims. */
export class Evidence {
  readonly inferences: Inference[] = [];
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  note<T extends string | number | boolean>(field: string, value: T, from: string): T {
    this.inferences.push({ field, value, from });
    return value;
  }

  /** A size that a shape tells: config.json may only agree. @throws BadInputError when it does not. */
  fromShape(field: string, value: number, tensor: string, claimed: number | undefined, claim: string): number {
    if (claimed !== undefined && claimed !== value)
      throw new BadInputError(
        'config_mismatch',
        `config.json says ${claim} = ${claimed}, but the shape of "${tensor}" says ${value}`,
        {
          file: this.file,
          tensor,
          hint: 'config.json and the weights are from different models: take both from one',
        },
      );
    return this.note(field, value, `shape of ${tensor}`);
  }

  /** What no shape tells: config.json, else the value that every published PaliGemma has. */
  fromConfig<T extends string | number>(
    field: string,
    claimed: T | null | undefined,
    claim: string,
    fallback: T,
    because: string,
  ): T {
    return claimed === undefined || claimed === null
      ? this.note(field, fallback, `default: ${because}`)
      : this.note(field, claimed, `config.json ${claim}`);
  }
}

/** The side of a square image of so many positions. @throws BadInputError when there is none */
export function sideOf(tokens: number, tensor: string, file: string): number {
  const side = Math.round(Math.sqrt(tokens));
  if (side * side === tokens && side > 0) return side;
  throw new BadInputError('shape_mismatch', `"${tensor}" has ${tokens} positions, which no square image has`, {
    file,
    tensor,
    hint: 'take a complete PaliGemma checkpoint',
  });
}
