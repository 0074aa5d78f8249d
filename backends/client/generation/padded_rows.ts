import { RuntimeError } from '../errors.ts';

/** Rows of a prompt as graphs take them: padded on the left, i32 [rows, length]. */
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

/** Position ids of the last tokens, one a row: what is decoded next goes on from there. */
export function lastPositions({ rows, length, positionIds }: PaddedRows): Int32Array {
  return Int32Array.from({ length: rows }, (_, row) => positionIds[(row + 1) * length - 1]!);
}
