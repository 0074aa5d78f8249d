import type { TensorData } from '../../../ir/tensor.ts';
import { interleaveRows } from '../../../ir/views/interleave_rows.ts';
import { castData } from '../../../ir/views/cast.ts';
import { reshapeData } from '../../../ir/views/select.ts';

/** cos[P, H/2] and sin[P, H/2] as f32[P, H]: the cosines of a position, then its sines. */
export function ropeTable(cos: TensorData, sin: TensorData): TensorData {
  const [positions, half] = cos.shape as readonly [number, number];
  return reshapeData(interleaveRows(castData(cos, 'f32'), castData(sin, 'f32')), [positions, 2 * half]);
}
