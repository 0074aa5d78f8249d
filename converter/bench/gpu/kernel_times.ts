import type { Step } from '../../../backends/wgsl/bundle/plan.ts';
import { timedSubmit } from './device_peaks.ts';
import type { ShaderModel } from './shader_model.ts';

/** All steps of a phase that run one shader. */
export interface KernelTime {
  readonly shader: string;
  /** Steps, each a dispatch. */
  readonly count: number;
  /** Of all of them, one after the other. */
  readonly microseconds: number;
}

export interface PhaseTimes {
  readonly phase: string;
  /** Of the whole phase in one pass. */
  readonly microseconds: number;
  /** The slowest first. Their sum is less than the phase takes by what changing from one to the other costs. */
  readonly kernels: readonly KernelTime[];
}

/** So long, and the start of a submit counts little: a tenth of a millisecond. */
const LEAST_MILLISECONDS = 10;
const MOST_REPEATS = 256;
const TAKES = 3;

/**
 * Time of each shader of a phase, by the host's clock, since clocks of devices are coarse: its steps in all layers one
 * after the other, so that no matrix is in a cache from the time before unless all are, and so again until it can be
 * timed. What they compute on is overwritten.
 * @param sizes what the phase is run for, such as `seq`
 */
export async function phaseTimes(
  { executor, device }: ShaderModel,
  name: string,
  sizes: Readonly<Record<string, number>>,
): Promise<PhaseTimes> {
  const phase = executor.phase(name);
  executor.setSizes(sizes);
  await executor.reserve(phase);
  const timed = async (steps = phase.steps) => {
    let repeats = 1;
    let best = Infinity;
    for (let taken = 0; taken < TAKES;) {
      const took = await timedSubmit(device, (pass) => {
        for (let i = 0; i < repeats; i++) executor.encode(pass, phase, steps);
      });
      if (took < LEAST_MILLISECONDS && repeats < MOST_REPEATS) {
        repeats *= 2;
        continue;
      }
      best = Math.min(best, (1000 * took) / repeats);
      taken++;
    }
    return best;
  };
  const kernels: KernelTime[] = [];
  const shaderOf = ({ pipeline }: Step) => executor.choices[pipeline]!.shader;
  for (const shader of new Set(phase.steps.map(shaderOf))) {
    const steps = phase.steps.filter((step) => shaderOf(step) === shader);
    kernels.push({ shader, count: steps.length, microseconds: await timed(steps) });
  }
  return {
    phase: name,
    microseconds: await timed(),
    kernels: kernels.toSorted((a, b) => b.microseconds - a.microseconds),
  };
}
