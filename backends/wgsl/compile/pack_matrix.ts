import { dtypes } from '../../../ir/dtypes/index.ts';
import { middleOf, signBits } from '../../../ir/formats/index.ts';
import {
  CHUNK_BYTES,
  elementCount,
  readBytes,
  readRange,
  readTensor,
  type ReadOptions,
  type TensorData,
} from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import type { Quantized } from '../../../ir/views/dequantize.ts';
import { viewBehind } from '../../../ir/views/view.ts';
import { windowOf } from '../../../ir/views/window.ts';
import {
  isCoded,
  matrixVectors,
  scaleWordsPerRow,
  vectorsPerRow,
  type CodeForm,
  type MatrixForm,
} from '../kernels/matrix_form.ts';

/**
 * Rows of a matrix as the IR has them: floats [N, K], or codes q[N, blocks, block] with scales and zeros [N, blocks].
 */
export type MatrixParts =
  | { readonly kind: 'float'; readonly data: TensorData }
  | ({ readonly kind: 'codes' } & Quantized<TensorData>);

type Codes = Extract<MatrixParts, { readonly kind: 'codes' }>;

/** How codes may lie on the device; undefined when blocks are no multiple of 32 columns, nor one a row. */
export function formOf({ format, q, scales, zeros }: Quantized<TensorData>): CodeForm | undefined {
  const [, blocks, block] = q.shape as readonly [number, number, number];
  if (blocks > 1 && block % 32 !== 0) return undefined;
  // a zero point of signed codes moves with them, and a half that is no integer may have no bits left for that
  const isMoved = zeros !== undefined && signBits(q.dtype) !== 0 && dtypes[zeros.dtype].kind === 'float';
  const wide = !fitsHalf(scales) || (zeros !== undefined && !fitsHalf(zeros)) || isMoved;
  return {
    kind: format,
    block: Math.ceil(block / 32) * 32,
    zeros: zeros !== undefined,
    wide,
  };
}

/** Whether f16 represents every element: known of what was f16, and of codes. */
function fitsHalf(data: TensorData): boolean {
  return dtypes[data.dtype].kind === 'int' || data.dtype === 'f16' || viewBehind(data).source.dtype === 'f16';
}

/**
 * The bytes of the matrix [Σ N, columns] of all parts, rows after rows, as `MatrixForm` says, made as they are read.
 * Floats, with what fills them up, keep their dtype, so that whoever writes them finds what is not finite; codes with
 * their scales are u8[bytes]. Codes of a form without zeros have none. 4-bit zero points are read from pairs of rows
 * on.
 */
export function packMatrix(form: MatrixForm, columns: number, parts: readonly MatrixParts[]): TensorData {
  const rowsOf = (part: MatrixParts) => (part.kind === 'float' ? part.data : part.q).shape[0]!;
  const rows = parts.reduce((sum, part) => sum + rowsOf(part), 0);
  const regions = [
    ...parts.map((part) => elementRegion(form, columns, part)),
    ...(isCoded(form) ? parts.map((part) => scaleRegion(form, columns, part as Codes)) : []),
  ];
  const packed = 16 * matrixVectors(form, rows, columns);
  const missing = packed - regions.reduce((sum, region) => sum + region.byteLength, 0);
  if (missing > 0)
    regions.push({
      byteLength: missing,
      read: async function* ({ begin, end }) {
        yield new Uint8Array(end - begin);
      },
    });
  const dtype = isCoded(form) ? 'u8' : form.kind;
  return {
    dtype,
    shape: [(8 * packed) / dtypes[dtype].bits],
    byteLength: packed,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(packed, options);
      let start = 0;
      for (const region of regions) {
        const from = Math.max(begin - start, 0);
        const to = Math.min(end - start, region.byteLength);
        if (from < to) yield* region.read({ begin: from, end: to, maxBytes });
        start += region.byteLength;
      }
    },
  };
}

/** Bytes of the matrix that are made alike. */
interface Region {
  readonly byteLength: number;
  read(range: Required<ReadOptions>): AsyncIterable<Uint8Array>;
}

/**
 * Rows of elements: those of the source, each filled up to whole vectors or cut where its last block is larger than
 * them.
 */
function elementRegion(form: MatrixForm, columns: number, part: MatrixParts): Region {
  const source = part.kind === 'float' ? castData(part.data, form.kind === 'f16' ? 'f16' : 'f32') : part.q;
  const rows = source.shape[0]!;
  const sourceBytes = source.byteLength / rows;
  const rowBytes = 16 * vectorsPerRow(form, columns);
  const flip = isCoded(form) ? signBits(source.dtype) : 0;
  if (sourceBytes === rowBytes && flip === 0 && dtypes[source.dtype].bits <= 8)
    return { byteLength: source.byteLength, read: (range) => source.chunks(range) };
  return rowRegion(rows, rowBytes, async (first, count) => {
    const bytes = await readBytes(source, { begin: first * sourceBytes, end: (first + count) * sourceBytes });
    if (flip !== 0) for (let i = 0; i < bytes.byteLength; i++) bytes[i]! ^= flip;
    if (sourceBytes === rowBytes) return bytes;
    const filled = new Uint8Array(count * rowBytes);
    const copied = Math.min(sourceBytes, rowBytes);
    for (let row = 0; row < count; row++)
      filled.set(bytes.subarray(row * sourceBytes, row * sourceBytes + copied), row * rowBytes);
    return filled;
  });
}

function scaleRegion(form: CodeForm, columns: number, { q, scales, zeros }: Codes): Region {
  const [rows, blocks] = q.shape as readonly [number, number];
  const words = scaleWordsPerRow(form, columns);
  const middle = 2 ** (dtypes[q.dtype].bits - 1);
  const shift = middle - middleOf(q.dtype);
  const pairs = form.zeros || form.wide;
  const codec = form.wide ? dtypes.f32 : dtypes.f16;
  const perRow = form.wide ? words : 2 * words;
  return rowRegion(rows, 4 * words, async (first, count) => {
    const read = (data: TensorData) =>
      readTensor(windowOf(data, first * elementCount(data.shape.slice(1)), [count, blocks]));
    const [scale, zero] = [await read(scales), zeros && (await read(zeros))];
    const values = new Float32Array(count * perRow);
    for (let row = 0; row < count; row++)
      for (let block = 0; block < blocks; block++) {
        const from = row * blocks + block;
        values[row * perRow + (pairs ? 2 * block : block)] = scale.data[from]!;
        if (pairs) values[row * perRow + 2 * block + 1] = zero ? zero.data[from]! + shift : middle;
      }
    const bytes = new Uint8Array(4 * count * words);
    codec.encode(values, 0, values.length, bytes);
    return bytes;
  });
}

/** Rows that are made a few at a time. An even row to begin with: a row of 4-bit zero points may end within a byte. */
function rowRegion(
  rows: number,
  rowBytes: number,
  make: (first: number, count: number) => Promise<Uint8Array>,
): Region {
  const step = Math.max(2, Math.floor(CHUNK_BYTES / 4 / rowBytes / 2) * 2);
  return {
    byteLength: rows * rowBytes,
    async *read({ begin, end, maxBytes }) {
      for (let first = Math.floor(begin / rowBytes / 2) * 2; first * rowBytes < end; first += step) {
        const last = Math.min(rows, first + step, Math.ceil(end / rowBytes / 2) * 2);
        const bytes = await make(first, last - first);
        const from = Math.max(0, begin - first * rowBytes);
        const to = Math.min(bytes.byteLength, end - first * rowBytes);
        for (let at = from; at < to; at += maxBytes) yield bytes.slice(at, Math.min(at + maxBytes, to));
      }
    },
  };
}
