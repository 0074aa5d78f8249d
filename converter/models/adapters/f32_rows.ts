import { castData } from '../../../ir/views/cast.ts';
import { CHUNK_BYTES, elementCount, readBytes, readRange, type TensorData } from '../../../ir/tensor.ts';

/** Whole rows of a matrix, in memory of their own. */
export interface RowBlock {
  readonly firstRow: number;
  readonly rows: number;
  /** [rows, columns] */
  readonly values: Float32Array<ArrayBuffer>;
}

/** A tensor as rows of its first axis: a convolution's kernel [out, in, h, w] is [out, in·h·w]. */
export function matrixShape({ shape }: Pick<TensorData, 'shape'>): { rows: number; columns: number } {
  return { rows: shape[0] ?? 1, columns: elementCount(shape.slice(1)) };
}

/** Elements [begin, end) as f32. */
export async function readFloats(
  data: TensorData,
  begin = 0,
  end = elementCount(data.shape),
): Promise<Float32Array<ArrayBuffer>> {
  const bytes = await readBytes(castData(data, 'f32'), { begin: 4 * begin, end: 4 * end });
  return new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, end - begin);
}

/**
 * Rows [begin, end) in blocks of at most `maxBytes`, but at least one row. The source is read once, from front to back:
 * a transposed view would read its whole matrix again for each block that is asked for by itself.
 */
export async function* rowBlocks(
  data: TensorData,
  begin: number,
  end: number,
  maxBytes = CHUNK_BYTES,
): AsyncGenerator<RowBlock> {
  const { columns } = matrixShape(data);
  const rowBytes = 4 * columns;
  if (rowBytes === 0 || begin >= end) return;
  const rowsPerBlock = Math.max(1, Math.floor(maxBytes / rowBytes));
  let firstRow = begin;
  let block = new Uint8Array(Math.min(rowsPerBlock, end - firstRow) * rowBytes);
  let filled = 0;
  for await (const chunk of castData(data, 'f32').chunks({
    begin: begin * rowBytes,
    end: end * rowBytes,
    maxBytes: Math.max(8, rowsPerBlock * rowBytes),
  })) {
    for (let at = 0; at < chunk.byteLength;) {
      const part = chunk.subarray(at, at + block.byteLength - filled);
      block.set(part, filled);
      filled += part.byteLength;
      at += part.byteLength;
      if (filled < block.byteLength) continue;
      const rows = block.byteLength / rowBytes;
      yield { firstRow, rows, values: new Float32Array(block.buffer) };
      firstRow += rows;
      block = new Uint8Array(Math.min(rowsPerBlock, end - firstRow) * rowBytes);
      filled = 0;
    }
  }
}

/** Changes blocks of rows in place. */
export type RowTransform = (block: RowBlock) => Promise<void>;

/**
 * `base` as f32 with each row changed, while it is read. `open` makes the transform for rows [begin, end): what it
 * holds lives as long as that read. A range is read in whole rows, of which what was not asked for is dropped.
 */
export function changedRows(
  base: TensorData,
  from: TensorData['from'],
  open: (begin: number, end: number) => Promise<RowTransform>,
): TensorData {
  const { columns } = matrixShape(base);
  const rowBytes = 4 * columns;
  const byteLength = 4 * elementCount(base.shape);
  return {
    dtype: 'f32',
    shape: base.shape,
    byteLength,
    ...(from && { from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      if (begin === end) return;
      const firstRow = Math.floor(begin / rowBytes);
      const endRow = Math.ceil(end / rowBytes);
      const transform = await open(firstRow, endRow);
      for await (const block of rowBlocks(base, firstRow, endRow, Math.min(maxBytes, CHUNK_BYTES))) {
        await transform(block);
        const at = block.firstRow * rowBytes;
        const bytes = new Uint8Array(block.values.buffer);
        const wanted = bytes.subarray(Math.max(begin - at, 0), Math.min(end - at, bytes.byteLength));
        if (wanted.byteLength <= maxBytes) yield wanted;
        // Copies: each chunk must have a buffer that its consumer may give away.
        else for (let i = 0; i < wanted.byteLength; i += maxBytes) yield wanted.slice(i, i + maxBytes);
      }
    },
  };
}
