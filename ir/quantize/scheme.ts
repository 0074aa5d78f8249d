import { byteLengthOf, type DType } from '../dtypes/index.ts';
import { codesShape, formats, type FormatName, type QuantizeAlgorithm } from '../formats/index.ts';
import type { TensorData } from '../tensor.ts';
import { QuantizeError } from './error.ts';
import { formOf, type Form } from './kernels/form.js';

export interface Scheme {
  readonly format: FormatName;
  /** Weights along K that share a scale; 0 is the whole row (per channel). */
  readonly block: number;
  /** There are no zero points: it is 2^(bits−1) for affine codes. */
  readonly symmetric: boolean;
  readonly algorithm: QuantizeAlgorithm;
  /**
   * Of asymmetric schemes of formats that have them: a binary16 zero point, with 0.8 to 0.9 dB less error in 4 bits,
   * for targets that take one. Default: an integer code.
   */
  readonly floatZero?: boolean;
}

/** How a format is quantized where nobody says: best without data for runtimes whose zero point is a code. */
export function usualScheme(format: FormatName): Scheme {
  const { blocks, symmetric, algorithms } = formats[format];
  return { format, block: blocks.size, symmetric, algorithm: algorithms[0] };
}

export const INT4 = usualScheme('int4');
export const INT8 = usualScheme('int8');

/** Larger blocks gain nothing: a scale is then less than a hundredth of a bit per weight. */
const MAX_BLOCK = 65536;
/** So that a block begins a byte, and vectors hold whole parts of it. */
const BLOCK_MULTIPLE = 8;

/** The weights that share a scale in a matrix of `columns`: a whole row is rounded up to whole bytes. */
function blockOf({ format, block }: Scheme, columns: number): number {
  const perByte = 8 / formats[format].bits;
  return block === 0 ? Math.ceil(columns / perByte) * perByte : block;
}

/** `int4 block 32, zero point, search` */
export function printScheme({ format, block, symmetric, algorithm, floatZero }: Scheme): string {
  return `${format} ${block === 0 ? 'per channel' : `block ${block}`}, ${symmetric ? 'symmetric' : floatZero ? 'float zero point' : 'zero point'}, ${algorithm}`;
}

/** How a matrix lies in its codes. */
export interface QuantizedLayout {
  readonly form: Form;
  readonly rows: number;
  readonly columns: number;
  /** Blocks of a row, the last one padded. */
  readonly blocks: number;
  readonly dtype: DType;
  /** Bytes of the codes of a row. */
  readonly rowBytes: number;
}

/** @throws QuantizeError `scheme` */
export function layoutOf(data: TensorData, scheme: Scheme, allowOverflow: boolean): QuantizedLayout {
  const refuse = (message: string, hint: string): never => {
    throw new QuantizeError('scheme', message, hint, data);
  };
  const [rows, columns] = data.shape;
  const { symmetric, floatZero = false } = scheme;
  const { name, bits, codes, codebook, blocks: usual, floatZeros, algorithms } = formats[scheme.format];
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
  if (floatZero && (symmetric || !floatZeros))
    return refuse(
      `${printScheme(scheme)} has no float zero point`,
      'use it with asymmetric schemes of a format that has them',
    );
  if (!algorithms.includes(scheme.algorithm))
    return refuse(`${printScheme(scheme)}: ${name} is not chosen so`, `choose of ${algorithms.join(', ')}`);
  if (codebook && !symmetric)
    return refuse(`${printScheme(scheme)}: codes of a codebook have no zero point`, 'use a symmetric scheme');
  if (usual.over !== 'row')
    return refuse(`blocks of ${name} run on across the ends of rows`, 'quantize to a format of blocks within rows');
  const block = blockOf(scheme, columns);
  const [, blocks] = codesShape({ size: block, over: 'row' }, rows, columns) as readonly [number, number, number];
  const [dtype] = codes;
  return {
    form: formOf({ bits, block, symmetric, floatZero, allowOverflow, ...(codebook && { codebook }) }),
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
