import type { Dim } from '../../../ir/dim.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { testDevice } from './gpu.ts';
import { runKernel } from './run_kernel.ts';
import { fromStored, room, toStored, worst } from './stored.ts';

export interface Comparison {
  readonly kernel: Kernel;
  readonly sizes?: Readonly<Record<string, number>>;
  /** Contents of the bindings that are read, in order. */
  readonly inputs: readonly { readonly tensor: Tensor; readonly shape?: readonly Dim[] }[];
  /** What the bindings behind them must hold afterwards. */
  readonly results: readonly { readonly tensor: Tensor; readonly shape?: readonly Dim[] }[];
}

/** How far a kernel's results are from what is expected. */
export async function differenceOf({ kernel, sizes = {}, inputs, results }: Comparison): Promise<number> {
  const read = inputs.map(({ tensor, shape = tensor.shape }) => toStored(tensor, shape, sizes));
  const rooms = results.map(({ tensor, shape = tensor.shape }) => room(shape, sizes));
  const buffers = await runKernel(await testDevice(), { kernel, sizes, buffers: [...read, ...rooms] });
  return Math.max(...results.map(({ tensor, shape = tensor.shape }, i) => worst(fromStored(buffers[read.length + i]!, 'f32', shape, sizes), tensor.data)));
}
