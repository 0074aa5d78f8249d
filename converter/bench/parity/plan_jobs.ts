import type { Backend } from '../../../backends/backend.ts';
import { usualTarget } from '../../../backends/usual_target.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import type { Job } from './job.ts';

/** Where all of this runs. */
export const DEVICE = 'webgpu';

type Described = Pick<Backend, 'name' | 'devices' | 'targets' | 'defaultTarget' | 'refusal'>;

/**
 * Every precision of every backend that runs on WebGPU: for the target that is taken where nobody says, and for the
 * one that is for WebGPU alone, where there is such a one. The largest fixtures, which come last, begin first, so that
 * none is waited for in the end.
 */
export function planJobs(
  fixtures: readonly string[],
  backends: readonly Described[],
  precisions: readonly Precision[],
): readonly Job[] {
  return fixtures.toReversed().flatMap((fixture) =>
    backends
      .filter(({ devices }) => devices.includes(DEVICE))
      .flatMap((backend) =>
        targetsOf(backend, precisions).map(([target, own]) => ({
          fixture,
          backend: backend.name,
          ...(target !== undefined && { target }),
          precisions: own,
        })),
      ),
  );
}

function targetsOf(
  backend: Described,
  precisions: readonly Precision[],
): readonly (readonly [target: string | undefined, precisions: readonly Precision[]])[] {
  const byTarget = new Map<string | undefined, Precision[]>();
  for (const precision of precisions)
    for (const target of new Set([usualTarget(backend, precision), ...backend.targets.filter((t) => t === DEVICE)]))
      if (!backend.refusal(precision, target)) byTarget.set(target, [...(byTarget.get(target) ?? []), precision]);
  return [...byTarget];
}
