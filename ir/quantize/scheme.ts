import { byteLengthOf, type DType } from '../dtypes/index.ts';
import type { TensorData } from '../tensor.ts';
import { QuantizeError } from './error.ts';
import { formOf, type Form } from './kernels/form.js';

/** How scales and zero points are chosen: each is one file in kernels/. */
export type QuantizeAlgorithm = 'rtn' | 'search' | 'hqq';

export interface Scheme {
  readonly bits: 4 | 8;
  /** Weights along K that share a scale; 0 is the whole row (per channel). */
  readonly block: number;
  /** The zero point is 2^(bits−1) and not stored. */
  readonly symmetric: boolean;
  readonly algorithm: QuantizeAlgorithm;
  /**
   * Of asymmetric 4-bit schemes: a binary16 zero point, with 0.8 to 0.9 dB less error, for targets that take one.
   * Default: an integer code.
   */
  readonly floatZero?: boolean;
}

/** Best without data for runtimes whose zero point is a code, as MatMulNBits has it. */
export const INT4: Scheme = { bits: 4, block: 32, symmetric: false, algorithm: 'search' };
export const INT8: Scheme = { bits: 8, block: 32, symmetric: true, algorithm: 'search' };

/** Larger blocks gain nothing: a scale is then less than a hundredth of a bit per weight. */
const MAX_BLOCK = 65536;
/** So that a block begins a byte, and vectors hold whole parts of it. */
const BLOCK_MULTIPLE = 8;

/** The weights that share a scale in a matrix of `columns`: a whole row is rounded up to whole bytes. */
export function blockOf(scheme: Scheme, columns: number): number {
  return scheme.block === 0 ? columns + (scheme.bits === 4 ? columns % 2 : 0) : scheme.block;
}

/** `int4 block 32, zero point, search` */
export function printScheme({ bits, block, symmetric, algorithm, floatZero }: Scheme): string {
  return `int${bits} ${block === 0 ? 'per channel' : `block ${block}`}, ${symmetric ? 'symmetric' : floatZero ? 'float zero point' : 'zero point'}, ${algorithm}`;
}

/** How a matrix lies in its codes. */
export interface QuantizedLayout {
  readonly form: Form;
  readonly rows: number;
  readonly columns: number;
  /** Blocks of a row, the last one padded. */
  readonly blocks: number;
  readonly dtype: 'u4' | 'u8';
  /** Bytes of the codes of a row. */
  readonly rowBytes: number;
}

/** @throws QuantizeError `scheme` */
export function layoutOf(data: TensorData, scheme: Scheme, allowOverflow: boolean): QuantizedLayout {
  const refuse = (message: string, hint: string): never => {
    throw new QuantizeError('scheme', message, hint, data);
  };
  const [rows, columns] = data.shape;
  const { bits, symmetric, floatZero = false } = scheme;
  if (data.shape.length !== 2 || rows === undefined || columns === undefined || rows === 0 || columns === 0)
    return refuse(
      `${data.dtype}[${data.shape.join(', ')}] is no matrix of weights [out, in]`,
      'leave this weight as it is',
    );
  if (!isWeightType(data.dtype))
    return refuse(`weights of ${data.dtype} cannot be quantized`, 'quantize f32, f16 or bf16');
  if (
    scheme.block !== 0 &&
    (!Number.isSafeInteger(scheme.block) ||
      scheme.block % BLOCK_MULTIPLE !== 0 ||
      scheme.block < 0 ||
      scheme.block > MAX_BLOCK)
  )
    return refuse(
      `blocks of ${scheme.block}`,
      `choose a multiple of ${BLOCK_MULTIPLE} up to ${MAX_BLOCK}, or 0 for whole rows`,
    );
  if (floatZero && (symmetric || bits !== 4))
    return refuse(`${printScheme(scheme)} has no float zero point`, 'use it with asymmetric 4-bit schemes');
  const block = blockOf(scheme, columns);
  const blocks = Math.ceil(columns / block);
  const dtype = bits === 4 ? 'u4' : 'u8';
  return {
    form: formOf({ bits, block, symmetric, floatZero, allowOverflow }),
    rows,
    columns,
    blocks,
    dtype,
    rowBytes: byteLengthOf(dtype, blocks * block),
  };
}

/** Whether weights of a dtype can be quantized. */
export function isWeightType(dtype: DType): dtype is 'f32' | 'f16' | 'bf16' {
  return dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';
}
