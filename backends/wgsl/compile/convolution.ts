import type { Dim } from '../../../ir/dim.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import { reshapeData } from '../../../ir/views/select.ts';
import type { Conv2dSpec } from '../kernels/conv2d.ts';
import { floatMatrix, type MatrixSource } from './matrix_source.ts';
import type { PhaseContext } from './phase_context.ts';

/** Sizes of a convolution. */
export function convSpec({ inputs: [x, weight], attrs: { strides } }: NodeOf<'conv2d'>): Conv2dSpec {
  const [batch, channels, height, width] = x!.type.shape as readonly [Dim, number, number, number];
  const [, , windowHeight, windowWidth] = weight!.type.shape as readonly number[];
  const [down, right] = strides;
  return { batch, channels, size: [height, width], window: [windowHeight!, windowWidth!], strides: [down!, right!] };
}

/** The weights [O, C, kh, kw] as a matrix [O, C · kh · kw]; undefined when they are computed. */
export function convMatrix(context: PhaseContext, { inputs: [, weight] }: NodeOf<'conv2d'>): MatrixSource | undefined {
  const constant = context.constantOf(weight as Value);
  if (!constant) return undefined;
  const [outputs, channels, height, width] = weight!.type.shape as readonly [number, number, number, number];
  const shape = [outputs, channels * height * width] as const;
  return floatMatrix(
    weight!.name,
    { data: reshapeData(constant.data, shape), stored: reshapeData(constant.stored, shape) },
    shape,
  );
}
