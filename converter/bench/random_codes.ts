import { byteLengthOf, type DType } from '../../ir/dtypes/index.ts';
import type { QuantizedMatrix } from '../../ir/quantize/lazy_matrix.ts';
import { layoutOf, type Scheme } from '../../ir/quantize/scheme.ts';
import { elementCount, readRange, type TensorData } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import { randomTensor } from '../synth/random_tensor.ts';

/** Spread of weights that keeps activations in the range of a trained model. */
const WEIGHT_STD = 0.02;
/** Random bytes that are repeated: making gigabytes one by one would take minutes. Odd, so that rows are not alike. */
const PERIOD = 2 ** 20 - 3;
let period: Uint8Array | undefined;

/**
 * Codes of a matrix without a look at it: how fast a kernel is does not depend on how they were chosen. Equal for
 * schemes that differ in how a zero point is stored alone. @throws QuantizeError for what is no matrix
 */
export function randomCodes(data: TensorData, scheme: Scheme): QuantizedMatrix {
  const { rows, blocks, form, dtype } = layoutOf(data, scheme, false);
  const step = (2 * WEIGHT_STD) / form.middle;
  const q = made(dtype, [rows, blocks, form.block], randomBytes);
  const scales = castData(randomTensor('f16', [rows, blocks], { mean: step, std: 0.1 * step }, rows), 'f32');
  if (scheme.symmetric) return { q, scales };
  const { middle } = form;
  const zeros = scheme.floatZero
    ? castData(randomTensor('f16', [rows, blocks], { mean: middle, std: 0 }, rows), 'f32')
    : made(dtype, [rows, blocks], (bytes) => void bytes.fill(form.bits === 4 ? 0x11 * middle : middle));
  return { q, scales, zeros };
}

function made(dtype: DType, shape: readonly number[], fill: (bytes: Uint8Array, at: number) => void): TensorData {
  const byteLength = byteLengthOf(dtype, elementCount(shape));
  return {
    dtype,
    shape,
    byteLength,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      for (let at = begin; at < end; at += maxBytes) {
        const bytes = new Uint8Array(Math.min(maxBytes, end - at));
        fill(bytes, at);
        yield bytes;
      }
    },
  };
}

function randomBytes(bytes: Uint8Array, at: number): void {
  let state = 1;
  // Numerical Recipes' generator
  period ??= Uint8Array.from({ length: PERIOD }, () => (state = Math.imul(state, 1664525) + 1013904223) >>> 24);
  for (let i = 0; i < bytes.length;) {
    const part = period.subarray((at + i) % PERIOD, ((at + i) % PERIOD) + bytes.length - i);
    bytes.set(part, i);
    i += part.length;
  }
}
