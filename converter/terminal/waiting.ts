import type { Reporter } from './reporter.ts';

/** Work of which nothing is known but what it is: a stage, so that whoever waits for it reads its name. */
export async function withWait<T>(reporter: Reporter, label: string, work: () => Promise<T>): Promise<T> {
  const stage = reporter.stage(label, { unit: 'wait', total: 0 });
  try {
    return await work();
  } finally {
    stage.done();
  }
}
