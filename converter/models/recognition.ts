import type { SeenTensor } from '../checkpoints/leftover_tensors.ts';
import { placeOf } from '../checkpoints/leftover_tensors.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { BadInputError } from '../errors.ts';

/** What tells a kind of checkpoint from another before a weight is read. */
export interface Appearance {
  /** By the name that the files give them; those of dtypes that the IR lacks among them. */
  readonly tensors: ReadonlyMap<string, SeenTensor>;
  /** config.json, of the vision-language model that the checkpoint is built on. */
  readonly config: unknown;
  /** What the files say of themselves. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** A checkpoint that is known and not converted: why, and the way out. */
export interface Recognition {
  readonly code: string;
  readonly message: string;
  /** By which it was recognised. */
  readonly tensor?: string;
  readonly hint: string;
}

/** What a checkpoint shows of itself. */
export function appearanceOf({
  tensors,
  unreadable = new Map(),
  config,
  metadata = new Map(),
}: Checkpoint): Appearance {
  return { tensors: new Map<string, SeenTensor>([...tensors, ...unreadable]), config, metadata };
}

/** A recognition as an error. @param file for tensors that do not say where they lie */
export function refusalOf(
  { code, message, tensor, hint }: Recognition,
  { tensors }: Appearance,
  file: string,
): BadInputError {
  const seen = tensor === undefined ? undefined : tensors.get(tensor);
  const place = tensor === undefined ? { file } : seen ? placeOf(tensor, seen, file) : { file, tensor };
  return new BadInputError(code, message, { ...place, hint });
}
