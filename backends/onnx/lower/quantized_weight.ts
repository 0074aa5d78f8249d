import type { Value } from '../../../ir/graph.ts';
import { mappedBytes } from '../../../ir/views/bytes.ts';
import { memoView } from '../../../ir/views/memo.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { dtypes } from '../../../ir/dtypes/index.ts';
import { BackendError } from '../../error.ts';
import type { LoweringContext } from './context.ts';

/** A weight in blocks, unread: codes [N, blocks, block], scales and zero points [N, blocks]. */
export interface QuantizedWeight {
  readonly bits: 4 | 8;
  readonly rows: number;
  readonly blocks: number;
  readonly block: number;
  readonly q: Stored;
  readonly scales: Stored;
  readonly zeros?: Stored;
}

/** Bytes, and the name that they had. */
export interface Stored {
  readonly name: string;
  readonly data: TensorData;
}

/**
 * @throws BackendError when a part is computed: ONNX Runtime's kernels read codes as they are stored; and for zero
 * points that are no codes.
 */
export function quantizedWeight(
  context: LoweringContext,
  q: Value,
  scales: Value,
  zeros: Value | undefined,
): QuantizedWeight {
  const stored = (value: Value): Stored => {
    const data = context.weightOf(value);
    if (!data)
      throw new BackendError(
        'unsupported',
        `%${value.name} is computed: codes, scales and zero points must be weights`,
        { tensor: value.name, hint: 'decompose the op first' },
      );
    return { name: value.name, data };
  };
  const codes = stored(q);
  if (zeros && zeros.type.dtype !== q.type.dtype)
    throw new BackendError(
      'unsupported',
      `zero points of ${zeros.type.dtype}: those of ONNX are codes like the weight's`,
      { tensor: zeros.name, hint: 'quantize for this backend (its floatZeros is false)' },
    );
  const [rows, blocks, block] = codes.data.shape as readonly [number, number, number];
  return {
    bits: dtypes[codes.data.dtype].bits as 4 | 8,
    rows,
    blocks,
    block,
    q: codes,
    scales: stored(scales),
    ...(zeros && { zeros: stored(zeros) }),
  };
}

/** One view of each kind, so that what is shared stays shared. */
export function changed({ name, data }: Stored, kind: string, make: (data: TensorData) => TensorData): Stored {
  return { name, data: memoView(data, kind, make) };
}

/** Codes or zero points without a sign: flipping the top bit adds half the range to both, so differences stay. */
export function unsigned(stored: Stored): Stored {
  if (stored.data.dtype === 'i8')
    return changed(stored, 'unsigned', (data) => mappedBytes(data, 'u8', (byte) => byte ^ 0x80));
  return stored.data.dtype === 'i4'
    ? changed(stored, 'unsigned', (data) => mappedBytes(data, 'u4', (byte) => byte ^ 0x88))
    : stored;
}

/** The other way: codes around 0 need no zero point. */
export function signed(stored: Stored): Stored {
  if (stored.data.dtype === 'u8')
    return changed(stored, 'signed', (data) => mappedBytes(data, 'i8', (byte) => byte ^ 0x80));
  return stored.data.dtype === 'u4'
    ? changed(stored, 'signed', (data) => mappedBytes(data, 'i4', (byte) => byte ^ 0x88))
    : stored;
}

/** The zero point of unsigned codes that come without. */
export function middleOf(bits: 4 | 8): number {
  return 2 ** (bits - 1);
}
