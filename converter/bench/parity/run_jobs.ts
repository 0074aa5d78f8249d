import { fork } from 'node:child_process';
import type { Job, Message, Outcome } from './job.ts';

export interface RunOptions {
  /** The program that takes a job as JSON and sends its outcomes. */
  readonly worker: string;
  /** Processes at a time. */
  readonly parallel: number;
  /** Of all jobs together: what is not done by then is ended, and told. */
  readonly seconds: number;
  /** Hears of each outcome as it comes. */
  readonly onOutcome: (outcome: Outcome) => Promise<void>;
}

/** Runs jobs in processes of their own. @returns an outcome for every precision of every job */
export async function runJobs(jobs: readonly Job[], options: RunOptions): Promise<readonly Outcome[]> {
  const { parallel, seconds, onOutcome } = options;
  const deadline = performance.now() + seconds * 1000;
  const waiting = [...jobs];
  const outcomes: Outcome[] = [];
  const take = async (outcome: Outcome) => {
    outcomes.push(outcome);
    await onOutcome(outcome);
  };
  const serve = async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) await runJob(job, deadline, options.worker, take);
  };
  await Promise.all(Array.from({ length: parallel }, serve));
  return outcomes;
}

async function runJob(
  job: Job,
  deadline: number,
  worker: string,
  take: (outcome: Outcome) => Promise<void>,
): Promise<void> {
  const { precisions, ...bundle } = job;
  const missing = new Set(precisions);
  const taken: Promise<void>[] = [];
  const end = await new Promise<string>((resolve) => {
    const left = deadline - performance.now();
    if (left <= 0) return resolve('not begun in time');
    const child = fork(worker, [JSON.stringify(job)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let errors = '';
    child.stderr!.on('data', (data: Buffer) => (errors = `${errors}${data.toString()}`.slice(-2000)));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve('not done in time');
    }, left);
    child.on('message', ({ outcome }: Message) => {
      missing.delete(outcome.precision);
      taken.push(take(outcome));
    });
    child.on('error', ({ message }) => resolve(message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve(`its process ended with ${code ?? signal}: ${errors.trim().split('\n').at(-1)!}`);
    });
  });
  await Promise.all(taken);
  for (const precision of missing) await take({ ...bundle, precision, seconds: 0, error: end });
}
