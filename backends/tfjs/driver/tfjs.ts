import type * as converter from '@tensorflow/tfjs-converter';
import type * as core from '@tensorflow/tfjs-core';

/**
 * What the driver needs of tfjs: the package `@tensorflow/tfjs` has it all; of its parts, `{ ...core, ...converter }`.
 */
export type Tfjs = Omit<typeof core, 'default'> &
  Pick<typeof converter, 'loadGraphModel' | 'registerOp' | 'GraphModel'>;
export type { GraphModel } from '@tensorflow/tfjs-converter';
export type { NamedTensorMap, Tensor } from '@tensorflow/tfjs-core';
