import { kernelOf, phaseNamed } from '../../../backends/wgsl/compile/plan_costs.ts';
import { timedSubmit } from './device_peaks.ts';
import type { ShaderModel } from './shader_model.ts';

/** Takes, of which the best counts: other work makes them slower, never faster. */
const TAKES = 5;

/**
 * Bytes of matrices that the matvec kernels of a step read a second, all layers one after the other, so that no matrix
 * is in a cache from the time before unless all are. After a prefill, whose sizes and memory they take.
 */
export async function matvecBandwidth({ executor, plan, device }: ShaderModel): Promise<number> {
  const phase = phaseNamed(plan, 'decoder.step');
  const steps = phase.steps.filter(({ pipeline }) => kernelOf(plan, pipeline).startsWith('matvec'));
  executor.setSizes({ seq: 1, kept: 1 });
  await executor.reserve(phase);
  // norms, biases and tables of angles are small or hardly read: the largest range of a kernel is its matrix
  const bytes = steps.reduce(
    (sum, { bindings }) =>
      sum + Math.max(...bindings.map(({ kind, index }) => (kind === 'weight' ? plan.weights[index]!.byteLength : 0))),
    0,
  );
  const times: number[] = [];
  for (let take = -1; take < TAKES; take++)
    times.push(await timedSubmit(device, (pass) => executor.encode(pass, phase, steps)));
  return bytes / (Math.min(...times.slice(1)) / 1000);
}
