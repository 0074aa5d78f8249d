import type { ModelFacts } from '../model_facts.ts';
import { RuntimeError } from '../errors.ts';

/** Rows of a prompt as the phases take them: padded on the left, i32 [rows, length]. */
export interface PaddedRows {
  readonly rows: number;
  readonly length: number;
  readonly inputIds: Int32Array;
  /** 1 for tokens, 0 for padding. */
  readonly attentionMask: Int32Array;
  /** The running count of tokens, from 1; padding gets 1. As Hugging Face feeds them. */
  readonly positionIds: Int32Array;
}

/** @throws RuntimeError `bad_input` for no rows or an empty one */
export function padLeft(rows: readonly (readonly number[])[], padTokenId: number): PaddedRows {
  if (rows.length === 0 || rows.some((row) => row.length === 0))
    throw new RuntimeError('bad_input', 'a prompt has no tokens', 'give every row at least <bos>');
  const length = Math.max(...rows.map((row) => row.length));
  const [inputIds, attentionMask, positionIds] = [
    new Int32Array(rows.length * length).fill(padTokenId),
    new Int32Array(rows.length * length),
    new Int32Array(rows.length * length).fill(1),
  ];
  rows.forEach((row, r) => {
    const start = r * length + length - row.length;
    inputIds.set(row, start);
    attentionMask.fill(1, start, start + row.length);
    for (let i = 0; i < row.length; i++) positionIds[start + i] = i + 1;
  });
  return { rows: rows.length, length, inputIds, attentionMask, positionIds };
}

/** Runs of image tokens in the padded rows, in order: where features go. */
export function imageRuns(
  { inputIds, attentionMask }: PaddedRows,
  { imageTokenId }: Pick<ModelFacts, 'imageTokenId'>,
): { readonly start: number; readonly count: number }[] {
  const runs: { start: number; count: number }[] = [];
  for (let i = 0; i < inputIds.length; i++) {
    if (inputIds[i] !== imageTokenId || attentionMask[i] === 0) continue;
    const last = runs.at(-1);
    if (last && last.start + last.count === i) last.count++;
    else runs.push({ start: i, count: 1 });
  }
  return runs;
}
