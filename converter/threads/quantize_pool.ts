import { Worker } from 'node:worker_threads';
import type {
  FactorJob,
  HessianPart,
  QuantizeExecutor,
  QuantizeJob,
  QuantizeReply,
} from '../../ir/quantize/executor.ts';
import type { Module } from '../../ir/quantize/kernels/web_assembly.js';

type Result = QuantizeReply | HessianPart | undefined;

/** What a thread answers to a job. */
export type PoolReply = { readonly result: Result; readonly error?: undefined } | { readonly error: Error };

interface Task {
  readonly job: QuantizeJob | FactorJob;
  resolve(reply: Result): void;
  reject(error: Error): void;
}

/**
 * Quantizes rows in `threads` threads, which start with the first job. The results are the same for any number of them,
 * with kernels and without.
 */
export class QuantizePool implements QuantizeExecutor {
  /** A job more than there are threads, so that none waits for the next to be read. */
  readonly width: number;
  readonly #threads: number;
  readonly #kernels: Module | undefined;
  readonly #workers = new Map<Worker, Task | undefined>();
  readonly #waiting: Task[] = [];
  #failure: Error | undefined;

  /** @param kernels of useKernels; undefined computes in plain JavaScript */
  constructor(threads: number, kernels: Module | undefined) {
    this.width = threads + 1;
    this.#threads = threads;
    this.#kernels = kernels;
  }

  /** The memory of the job's bytes is given away. */
  run(job: QuantizeJob): Promise<QuantizeReply> {
    return this.#do(job) as Promise<QuantizeReply>;
  }

  factor(job: FactorJob): Promise<HessianPart | undefined> {
    return this.#do(job) as Promise<HessianPart | undefined>;
  }

  /** Ends the threads; jobs under way are rejected. */
  async dispose(): Promise<void> {
    this.#fail(new Error('the threads that quantize were ended'));
    await Promise.all([...this.#workers.keys()].map((worker) => worker.terminate()));
    this.#workers.clear();
  }

  #do(job: Task['job']): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#waiting.push({ job, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#waiting.length === 0 || this.#failure) return;
    const idle = [...this.#workers].find(([, task]) => task === undefined)?.[0];
    const worker = idle ?? (this.#workers.size < this.#threads ? this.#start() : undefined);
    if (!worker) return;
    const task = this.#waiting.shift()!;
    this.#workers.set(worker, task);
    worker.ref(); // an idle thread does not keep the process alive, a busy one does
    worker.postMessage(task.job, 'bytes' in task.job ? [task.job.bytes.buffer as ArrayBuffer] : []);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./quantize_worker.js', import.meta.url), {
      name: 'pgconv-quantize',
      workerData: { module: this.#kernels },
      execArgv: [],
    });
    worker.on('message', (reply: PoolReply) => {
      const task = this.#workers.get(worker);
      this.#workers.set(worker, undefined);
      worker.unref();
      if (reply.error) task?.reject(reply.error);
      else task?.resolve(reply.result);
      this.#next();
    });
    worker.on('error', (error: Error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('a thread that quantizes ended')));
    return worker;
  }

  /** The first failure is the one that is told. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const task of [...this.#workers.values(), ...this.#waiting]) task?.reject(this.#failure);
    this.#waiting.length = 0;
  }
}
