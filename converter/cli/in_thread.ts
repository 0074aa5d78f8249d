import { SHARE_ENV, Worker } from 'node:worker_threads';
import { EXIT, InterruptedError } from '../errors.ts';
import { outputError } from '../output_error.ts';
import { failureOf } from './exit.ts';
import { printed, textOf } from './io.ts';

/** What the thread is told at its start. */
export interface ThreadData {
  readonly args: readonly string[];
  /** Which of stdout and stderr are terminals: the thread writes to those itself. */
  readonly terminals: { readonly out: boolean; readonly err: boolean };
}

/** What it is told later. */
export interface StopRequest {
  readonly stop: 'SIGINT' | 'SIGTERM';
}

/** Time for an interrupted run to remove or keep what it staged; what it leaves is seen to by the next run. */
const GRACE_MS = 1500;

/**
 * Runs the command line in a thread of its own, so that this one hears signals whatever that computes: a session that
 * opens holds its thread for seconds, and a handler of signals with it. The first Ctrl-C asks the command to stop and
 * gives it a moment; then, or at the second, the process ends by the signal itself, which no thread can hold up (exit
 * would wait for them).
 * @returns the exit code
 */
export async function inThread(args: readonly string[]): Promise<number> {
  const terminals = { out: process.stdout.isTTY, err: process.stderr.isTTY };
  // threads have an environment of their own, where the loader of GPU drivers does not look
  const worker = new Worker(new URL('./thread.js', import.meta.url), {
    workerData: { args, terminals } satisfies ThreadData,
    env: SHARE_ENV,
    name: 'pgconv',
  });
  process.stdout.on('error', (error) => endOnClosedPipe(error, 'stdout'));
  process.stderr.on('error', (error) => endOnClosedPipe(error, 'stderr'));
  const ignore = stopOnSignals(worker, args);
  try {
    return await new Promise<number>((resolve, reject) => worker.on('exit', resolve).on('error', reject));
  } catch (error) {
    const failure = failureOf(error);
    if (failure && failure.text.length > 0) process.stderr.write(`${textOf(failure.text)}\n`);
    return failure?.exitCode ?? EXIT.done;
  } finally {
    ignore();
  }
}

function stopOnSignals(worker: Worker, args: readonly string[]): () => void {
  const dispose = () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  const onSignal = (name: 'SIGINT' | 'SIGTERM') => {
    // the system's own handling is back: a second signal ends the process
    dispose();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage({ stop: name } satisfies StopRequest);
    setTimeout(() => {
      const failure = failureOf(new InterruptedError(name))!;
      if (args.includes('--json')) process.stdout.write(`${textOf(printed('error', { error: failure.report }))}\n`);
      process.kill(process.pid, name);
    }, GRACE_MS).unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return dispose;
}

/** `pgconv inspect … | head` is no failure. */
function endOnClosedPipe(error: NodeJS.ErrnoException, name: string): void {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.done);
  const failure = failureOf(outputError(error, name, `the shell’s redirection of ${name}`))!;
  process.stderr.write(`${textOf(failure.text)}\n`);
  process.exit(failure.exitCode);
}
