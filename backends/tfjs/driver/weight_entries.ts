import type { BundleSource } from '../../client/sources/source.ts';
import { withErrorScopes } from '../packed/error_scopes.ts';
import { wordRows } from '../packed/word_rows.ts';
import type { PlacedWeight } from './bundle.ts';
import type { Tensor, Tfjs } from './tfjs.ts';

/**
 * Entries of a weight along its first axis, one after the other: floats, or codes as the bytes that they are stored in.
 */
export type Entries = Float32Array | Uint8Array;

/** Of the file: `count` from `first` on. @throws RuntimeError; the signal's reason */
export async function entriesOfFile(
  source: BundleSource,
  { spec, file, offset, byteLength }: PlacedWeight,
  first: number,
  count: number,
): Promise<Entries> {
  const size = byteLength / spec.shape[0]!;
  const bytes = await source.readRange(file, offset + first * size, offset + (first + count) * size);
  if (spec.quantization?.dtype === 'float16') return halves(bytes);
  return spec.dtype === 'float32' && !spec.quantization ? new Float32Array(bytes.buffer) : bytes;
}

/** The same of what tfjs has made of them. @throws RuntimeError when the device refuses */
export async function entriesOfTensor(
  tf: Tfjs,
  tensor: Tensor,
  { spec: { dtype, quantization } }: PlacedWeight,
  first: number,
  count: number,
): Promise<Entries> {
  const rest = tensor.shape.slice(1);
  const part = await withErrorScopes(tf, () =>
    dtype === 'int32'
      ? wordRows(tf, tensor, first, count)
      : tf.slice(tensor, [first, ...rest.map(() => 0)], [count, ...rest]),
  );
  try {
    const data = await part.data<'float32'>();
    if (dtype !== 'float32') return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return quantization?.dtype === 'uint8'
      ? Uint8Array.from(data, (x) => (x - (quantization.min ?? 0)) / (quantization.scale ?? 1))
      : data;
  } finally {
    part.dispose();
  }
}

/** Floats of binary16. */
function halves(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 2 }, (_, i) => half(view.getUint16(2 * i, true)));
}

/** Node 20 has no DataView.getFloat16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return exponent === 31
    ? fraction === 0
      ? sign * Infinity
      : Number.NaN
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
