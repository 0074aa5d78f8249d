import { RuntimeError } from '../../client/errors.ts';
import type { Executor } from './executor.ts';

export interface StepTime {
  /** Name of the value that it makes. */
  readonly label: string;
  /** Its file. */
  readonly shader: string;
  /** By the device's clock. */
  readonly microseconds: number;
}

/** What a set of queries holds at most. */
const MAX_QUERIES = 4096;

/**
 * Runs a phase with a pass for every step, and the time of each by the device's clock. Passes cost time of their own:
 * the sum is more than a run takes. @throws RuntimeError `missing_feature` without timestamp-query
 */
export async function profilePhase(executor: Executor, name: string): Promise<readonly StepTime[]> {
  const { device, memory } = executor;
  if (!device.features.has('timestamp-query'))
    throw new RuntimeError(
      'missing_feature',
      'this device has no timestamp-query',
      'in Chrome, open it with --enable-unsafe-webgpu',
    );
  const phase = executor.phase(name);
  await executor.reserve(phase);
  const times: StepTime[] = [];
  for (let first = 0; first < phase.steps.length; first += MAX_QUERIES / 2) {
    const steps = phase.steps.slice(first, first + MAX_QUERIES / 2);
    const querySet = device.createQuerySet({ type: 'timestamp', count: 2 * steps.length });
    const resolved = memory.create({
      label: 'timestamps',
      size: 16 * steps.length,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const encoder = device.createCommandEncoder({ label: `profile ${name}` });
    steps.forEach((step, i) => {
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      });
      executor.encode(pass, phase, [step]);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, 2 * steps.length, resolved, 0);
    const staged = executor.stage(encoder, resolved);
    executor.submit(encoder);
    try {
      const nanoseconds = new BigUint64Array(await executor.take(staged));
      steps.forEach(({ label, pipeline }, i) =>
        times.push({
          label,
          shader: executor.choices[pipeline]!.shader,
          microseconds: Number(nanoseconds[2 * i + 1]! - nanoseconds[2 * i]!) / 1000,
        }),
      );
    } finally {
      memory.destroy(resolved);
      querySet.destroy();
    }
  }
  return times;
}
