import { jobRunner, type QuantizeJob, type QuantizeReply } from './kernels/run_job.js';

export type { QuantizeJob, QuantizeReply };

/** Where rows are quantized: in this thread, or in many (converter/threads). The bytes are the same everywhere. */
export interface QuantizeExecutor {
  /** Jobs to have under way at once; each holds about a MB. */
  readonly width: number;
  run(job: QuantizeJob): Promise<QuantizeReply>;
}

/** In this thread, in plain JavaScript. */
export const plainExecutor: QuantizeExecutor = { width: 1, run: async (job) => jobRunner(undefined)(job) };
