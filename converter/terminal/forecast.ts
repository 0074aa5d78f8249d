import type { Progress } from '../../verify/forecast.ts';
import type { Reporter } from './reporter.ts';
import { secondsText } from './units.ts';

/** A verification, as a stage of the reporter that says how long the whole of it will take. */
export async function withForecast<T>(
  reporter: Reporter,
  label: string,
  work: (onProgress: (progress: Progress) => void) => Promise<T>,
): Promise<T> {
  const started = performance.now();
  let stage: ReturnType<Reporter['stage']> | undefined;
  let before = 0;
  const result = await work(({ done, total, label: part, secondsLeft, isLeast }) => {
    stage ??= reporter.stage(label, { unit: 'work', total });
    stage.advance(done - before, {
      text: part,
      ...(secondsLeft !== undefined && { secondsLeft, ...(isLeast && { isLeast }) }),
    });
    before = done;
  });
  stage?.done(`${label}: in ${secondsText((performance.now() - started) / 1000)}`);
  return result;
}
