import { shellWord } from '../../../ir/text/shell_word.ts';
import { readTensor, type TensorData } from '../../../ir/tensor.ts';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import type { SeenTensor } from '../../checkpoints/leftover_tensors.ts';
import { BadInputError } from '../../errors.ts';
import type { Fate, Fates, Reason } from '../ledger/ledger.ts';
import { unaccounted, type LeaveOut } from '../ledger/unaccounted.ts';
import { trainingOf } from './big_vision_tree.ts';
import { imageTokens, type PaliGemmaConfig } from './config.ts';

/** What the readers of both layouts know of a checkpoint's tensors, by the names that its files give them. */
export interface Reading {
  /** The weights that are made of each, by canonical name, `*` for every layer. */
  readonly used: ReadonlyMap<string, readonly string[]>;
  readonly leftOut: ReadonlyMap<string, Reason>;
}

const BESIDE = { 'no array': 'no_array', 'not selected': 'not_selected' } as const;

/**
 * What became of every tensor of a checkpoint.
 * @throws BadInputError `unaccounted` for tensors that neither the model nor `leaveOut` has
 */
export function fatesOf(
  { tensors, unreadable = new Map(), beside, path }: Pick<Checkpoint, 'tensors' | 'unreadable' | 'beside' | 'path'>,
  { used, leftOut }: Reading,
  leaveOut: LeaveOut,
): Fates {
  const fates = new Map<string, Fate>();
  const unknown = new Map<string, SeenTensor | undefined>();
  for (const [name, data] of [...tensors, ...unreadable]) {
    const [weights, reason] = [used.get(name), leftOut.get(name)];
    if (weights) fates.set(name, { used: weights });
    else if (leaveOut.has(name)) fates.set(name, { leftOut: 'asked' });
    else if (reason) fates.set(name, { leftOut: reason });
    else unknown.set(name, data);
  }
  for (const [name, why] of beside ?? []) {
    const reason = why === 'unreadable' ? trainingOf(name) : BESIDE[why];
    if (reason) fates.set(name, { leftOut: reason });
    else if (leaveOut.has(name)) fates.set(name, { leftOut: 'asked' });
    else unknown.set(name, undefined);
  }
  if (unknown.size > 0) throw unaccounted(unknown, path);
  leaveOut.requireUsed(path);
  return fates;
}

/**
 * Reads the small tensors that are left out for what they hold. @throws BadInputError when one holds something else
 */
export async function checkLeftOut(
  tensors: ReadonlyMap<string, TensorData>,
  fates: Fates,
  { vision, text }: PaliGemmaConfig,
): Promise<void> {
  for (const [name, { leftOut }] of fates) {
    const data = tensors.get(name);
    if (!data) continue;
    if (leftOut === 'position_ids')
      await requireValues(name, data, [imageTokens(vision), text.maxPositions], (i) => i, 0);
    if (leftOut === 'rope_frequencies')
      await requireValues(name, data, [text.headDim / 2], (i) => text.ropeTheta ** ((-2 * i) / text.headDim), ROUNDED);
  }
}

/** Frequencies are often stored in bf16: half of its last place, and as much for how they were computed. */
const ROUNDED = 2 ** -7;

async function requireValues(
  name: string,
  data: TensorData,
  counts: readonly number[],
  expected: (index: number) => number,
  tolerance: number,
): Promise<void> {
  const count = data.shape.reduce((product, d) => product * d, 1);
  const fits =
    counts.includes(count) &&
    (await readTensor(data)).data.every((x, i) => Math.abs(x - expected(i)) <= tolerance * Math.abs(expected(i)));
  if (!fits)
    throw new BadInputError('unaccounted', `"${name}" does not hold what a tensor of this name holds in a PaliGemma`, {
      file: data.from?.file ?? name,
      tensor: name,
      ...(data.from && { offset: data.from.byteOffset }),
      hint: `if the model computes the same without it, leave it out by name: --leave-out ${shellWord(name)}`,
    });
}
