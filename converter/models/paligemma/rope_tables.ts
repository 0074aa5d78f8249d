import { tensorData, type TensorData } from '../../../ir/tensor.ts';
import type { TextConfig } from './config.ts';

/**
 * cos and sin f32[maxPositions, H/2] of position · θ^(-2i/H) (arXiv:2104.09864), computed in f64 and rounded once: the
 * references compute the angle in f32, each with an error of its own (spec B.3).
 */
export function ropeTables({
  headDim,
  ropeTheta,
  maxPositions,
}: Pick<TextConfig, 'headDim' | 'ropeTheta' | 'maxPositions'>): readonly [cos: TensorData, sin: TensorData] {
  const half = headDim / 2;
  const shape = [maxPositions, half];
  const table = (f: (angle: number) => number) => {
    const data = new Float32Array(maxPositions * half);
    for (let i = 0; i < half; i++) {
      const frequency = ropeTheta ** ((-2 * i) / headDim);
      for (let position = 0; position < maxPositions; position++) data[position * half + i] = f(position * frequency);
    }
    return tensorData({ dtype: 'f32', shape, data });
  };
  return [table(Math.cos), table(Math.sin)];
}
