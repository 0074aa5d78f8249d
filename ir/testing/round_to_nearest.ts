import { dtypes } from '../dtypes/index.ts';
import { formats } from '../formats/index.ts';
import type { QuantizedMatrix } from '../quantize/lazy_matrix.ts';
import type { Scheme } from '../quantize/scheme.ts';
import { readTensor, tensorOf, type Tensor, type TensorData } from '../tensor.ts';
import { computedData } from '../views/compute.ts';

/**
 * The plainest quantizer of affine codes: each block's range over its codes. For tests of what happens to codes,
 * whoever made them.
 */
export function roundToNearest(
  data: TensorData,
  { format, block: size, symmetric, floatZero = false }: Scheme,
): QuantizedMatrix {
  const [rows, columns] = data.shape as readonly [number, number];
  const block = size === 0 ? columns + (columns % 2) : size;
  const blocks = Math.ceil(columns / block);
  const { bits } = formats[format];
  const [most, middle, dtype] = [2 ** bits - 1, 2 ** (bits - 1), bits === 4 ? 'u4' : 'u8'] as const;
  const zeroType = floatZero ? 'f32' : dtype;
  const made = async (): Promise<Record<'q' | 'scales' | 'zeros', Tensor>> => {
    const values = (await readTensor(data)).data;
    const [q, scales, zeros]: [number[], number[], number[]] = [[], [], []];
    for (let row = 0; row < rows; row++)
      for (let b = 0; b < blocks; b++) {
        const part = Array.from({ length: block }, (_, i) =>
          b * block + i < columns ? values[row * columns + b * block + i]! : 0,
        );
        const [low, high] = [Math.min(0, ...part), Math.max(0, ...part)];
        const range = symmetric ? (2 * Math.max(-low, high)) / (most - 1) : (high - low) / most;
        const scale = dtypes.f16.round(range || 1);
        const zero = symmetric ? middle : floatZero ? dtypes.f16.round(-low / scale) : Math.round(-low / scale);
        scales.push(scale);
        zeros.push(zero);
        q.push(...part.map((x) => Math.min(most, Math.max(0, Math.round(x / scale + zero)))));
      }
    return {
      q: tensorOf(dtype, [rows, blocks, block], q),
      scales: tensorOf('f32', [rows, blocks], scales),
      zeros: tensorOf(zeroType, [rows, blocks], zeros),
    };
  };
  const part = (name: 'q' | 'scales' | 'zeros', type: 'u4' | 'u8' | 'f32', shape: readonly number[]) =>
    computedData(type, shape, async () => (await made())[name], data.from);
  return {
    q: part('q', dtype, [rows, blocks, block]),
    scales: part('scales', 'f32', [rows, blocks]),
    ...(!symmetric && { zeros: part('zeros', zeroType, [rows, blocks]) }),
  };
}
