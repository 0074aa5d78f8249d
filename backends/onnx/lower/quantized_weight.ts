import type { Value } from '../../../ir/graph.ts';
import { mappedBytes } from '../../../ir/views/bytes.ts';
import { memoView } from '../../../ir/views/memo.ts';
import type { DType } from '../../../ir/dtypes/index.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { formats, signBits, type FormatName } from '../../../ir/formats/index.ts';
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
 * @throws BackendError when a part is computed: ONNX Runtime's kernels read codes as they are stored; for codes of a
 * codebook; and for zero points that are no codes.
 */
export function quantizedWeight(
  context: LoweringContext,
  format: FormatName,
  q: Value,
  scales: Value,
  zeros: Value | undefined,
): QuantizedWeight {
  const { bits, codebook } = formats[format];
  if (codebook)
    throw new BackendError('unsupported', `codes of ${format}: those of ONNX are affine`, {
      tensor: q.name,
      hint: 'quantize this weight to int4 or int8',
    });
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
    bits,
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
  const { dtype } = stored.data;
  return dtype === 'i8' || dtype === 'i4'
    ? flipped(stored, 'unsigned', dtype === 'i8' ? 'u8' : 'u4', signBits(dtype))
    : stored;
}

/** The other way: codes around 0 need no zero point. */
export function signed(stored: Stored): Stored {
  const { dtype } = stored.data;
  if (dtype !== 'u8' && dtype !== 'u4') return stored;
  const to = dtype === 'u8' ? 'i8' : 'i4';
  return flipped(stored, 'signed', to, signBits(to));
}

function flipped(stored: Stored, kind: string, to: DType, mask: number): Stored {
  return changed(stored, kind, (data) => mappedBytes(data, to, (byte) => byte ^ mask));
}

/** The zero point of unsigned codes that come without. */
export function middleOf(bits: 4 | 8): number {
  return 2 ** (bits - 1);
}
