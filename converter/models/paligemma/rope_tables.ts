import { tensorData, type TensorData } from '../../../ir/tensor.ts';
import type { TextConfig } from './config.ts';

/**
 * cos and sin f32[maxPositions + 1, H/2] of position · θ^(-2i/H) (arXiv:2104.09864), computed in f64 and rounded once:
 * the references compute the angle in f32, each with an error of its own (spec B.3). Clients count positions from 1
 * (spec B.3), so the last of maxPositions has row maxPositions; row 0 is for those who count from 0.
 */
export function ropeTables({
  headDim,
  ropeTheta,
  maxPositions,
}: Pick<TextConfig, 'headDim' | 'ropeTheta' | 'maxPositions'>): readonly [cos: TensorData, sin: TensorData] {
  const half = headDim / 2;
  const rows = maxPositions + 1;
  const table = (f: (angle: number) => number) => {
    const data = new Float32Array(rows * half);
    for (let i = 0; i < half; i++) {
      const frequency = ropeTheta ** ((-2 * i) / headDim);
      for (let position = 0; position < rows; position++) data[position * half + i] = f(position * frequency);
    }
    return tensorData({ dtype: 'f32', shape: [rows, half], data });
  };
  return [table(Math.cos), table(Math.sin)];
}
