import type { Dim } from '../../../ir/dim.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import { reshapeData } from '../../../ir/views/select.ts';
import type { Conv2dSpec } from '../kernels/conv2d.ts';
import { floatMatrix, type MatrixSource } from './matrix_source.ts';
import type { PhaseContext } from './phase_context.ts';

/** A convolution of either direction. */
export type Convolution = NodeOf<'conv2d' | 'conv_transpose2d'>;

/** Sizes of a convolution. */
export function convSpec({ inputs: [x, weight], attrs: { strides, padding } }: Convolution): Conv2dSpec {
  const [batch, channels, height, width] = x!.type.shape as readonly [Dim, number, number, number];
  const [, , windowHeight, windowWidth] = weight!.type.shape as readonly number[];
  const pair = ([down, right]: readonly number[]) => [down!, right!] as const;
  return {
    batch,
    channels,
    size: [height, width],
    window: [windowHeight!, windowWidth!],
    strides: pair(strides),
    padding: pair(padding),
  };
}

/** The weights [N, M, kh, kw] as a matrix [N, M · kh · kw]; undefined when they are computed. */
export function convMatrix(context: PhaseContext, { inputs: [, weight] }: Convolution): MatrixSource | undefined {
  const constant = context.constantOf(weight as Value);
  if (!constant) return undefined;
  const [rows, channels, height, width] = weight!.type.shape as readonly [number, number, number, number];
  const shape = [rows, channels * height * width] as const;
  return floatMatrix(
    weight!.name,
    { data: reshapeData(constant.data, shape), stored: reshapeData(constant.stored, shape) },
    shape,
  );
}
