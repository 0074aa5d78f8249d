import { readRange, type TensorData } from '../../../ir/tensor.ts';
import { computedData } from '../../../ir/views/compute.ts';
import type { TextConfig } from './config.ts';

/** Tables up to this size are kept once they are computed; larger ones are computed as they are read. */
const KEPT_BYTES = 64 * 1024 * 1024;
const F32_BYTES = 4;

/**
 * cos and sin f32[maxPositions + 1, H/2] of position · θ^(-2i/H) (arXiv:2104.09864), computed in f64 and rounded once:
 * the references compute the angle in f32, each with an error of its own (spec B.3). Clients count positions from 1
 * (spec B.3), so the last of maxPositions has row maxPositions; row 0 is for those who count from 0. Nothing is
 * computed before it is read: the number of positions is what a config.json says.
 */
export function ropeTables(
  { headDim, ropeTheta, maxPositions }: Pick<TextConfig, 'headDim' | 'ropeTheta' | 'maxPositions'>,
  keptBytes = KEPT_BYTES,
): readonly [cos: TensorData, sin: TensorData] {
  const half = headDim / 2;
  const frequencies = Array.from({ length: half }, (_, i) => ropeTheta ** ((-2 * i) / headDim));
  const table = (f: (angle: number) => number): TensorData => {
    const elements = (first: number, last: number) =>
      Float32Array.from({ length: last - first }, (_, i) => {
        const at = first + i;
        return f(Math.floor(at / half) * frequencies[at % half]!);
      });
    const shape = [maxPositions + 1, half];
    const count = (maxPositions + 1) * half;
    if (F32_BYTES * count <= keptBytes)
      return computedData('f32', shape, async () => ({ dtype: 'f32', shape, data: elements(0, count) }));
    return {
      dtype: 'f32',
      shape,
      byteLength: F32_BYTES * count,
      async *chunks(options) {
        const { begin, end, maxBytes } = readRange(F32_BYTES * count, options);
        for (let at = begin; at < end; at += maxBytes) {
          const until = Math.min(at + maxBytes, end);
          const first = Math.floor(at / F32_BYTES);
          const { buffer } = elements(first, Math.ceil(until / F32_BYTES));
          yield new Uint8Array(buffer).slice(at - F32_BYTES * first, until - F32_BYTES * first);
        }
      },
    };
  };
  return [table(Math.cos), table(Math.sin)];
}
