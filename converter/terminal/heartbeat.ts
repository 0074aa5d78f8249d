import { Worker } from 'node:worker_threads';
import type { Beat } from './beats.js';

/** A thread that says what works when nothing was said for long; it ends with the process. */
export interface Heartbeat {
  tell(beat: Beat): void;
  close(): void;
}

export interface HeartbeatOptions {
  /** Lines are for logs; a terminal has one that changes. */
  readonly isTerminal: boolean;
  /** Where it writes, as a descriptor; default stderr. */
  readonly file?: number;
  /** Milliseconds without a word after which it speaks, and between two looks; default 7 s and 1 s. */
  readonly silence?: number;
  readonly look?: number;
}

export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const worker = new Worker(new URL('./heartbeat_worker.js', import.meta.url), {
    workerData: options,
    name: 'pgconv-heartbeat',
    execArgv: [],
  });
  worker.unref();
  // without it nothing is wrong but the silence
  worker.on('error', () => {});
  return {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    tell: (beat) => worker.postMessage(beat),
    close: () => void worker.terminate(),
  };
}
