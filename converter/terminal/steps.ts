import type { Reporter } from './reporter.ts';

/** Work that tells `(done, total)` steps, as a stage of the reporter. */
export async function withSteps<T>(
  reporter: Reporter,
  label: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  let stage: ReturnType<Reporter['stage']> | undefined;
  let before = 0;
  const result = await work((done, total) => {
    stage ??= reporter.stage(label, { unit: 'steps', total });
    stage.advance(done - before);
    before = done;
  });
  stage?.done();
  return result;
}
