import type { Dim } from '../../../ir/dim.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { testDevice } from './gpu.ts';
import { runKernel } from './run_kernel.ts';
import { fromStored, room, toStored, worst } from './stored.ts';

/** A tensor with the shape that says where it lies: its own, when nothing grows. */
interface Placed {
  readonly tensor: Tensor;
  readonly shape?: readonly Dim[];
}

export interface Comparison {
  readonly kernel: Kernel;
  readonly sizes?: Readonly<Record<string, number>>;
  /** Contents of the bindings that are read, in order. */
  readonly inputs: readonly (Placed | Uint32Array)[];
  /** What the bindings behind them must hold afterwards, and what they hold before where it is kept. */
  readonly results: readonly (Placed & { readonly before?: Placed })[];
}

/** How far a kernel's results are from what is expected. */
export async function differenceOf({ kernel, sizes = {}, inputs, results }: Comparison): Promise<number> {
  const memory = ({ tensor, shape = tensor.shape }: Placed) => toStored(tensor, shape, sizes);
  const read = inputs.map((input) => (input instanceof Uint32Array ? input : memory(input)));
  const rooms = results.map(({ tensor, shape = tensor.shape, before }) =>
    before ? memory(before) : room(shape, sizes),
  );
  const buffers = await runKernel(await testDevice(), { kernel, sizes, buffers: [...read, ...rooms] });
  return Math.max(
    ...results.map(({ tensor, shape = tensor.shape }, i) =>
      worst(fromStored(buffers[read.length + i]!, 'f32', shape, sizes), tensor.data),
    ),
  );
}
