import { factorInputs, type FactorJob, type HessianPart } from './kernels/hessian.js';
import { jobRunner, type QuantizeJob, type QuantizeReply } from './kernels/run_job.js';

export type { FactorJob, HessianPart, QuantizeJob, QuantizeReply };

/** Where rows are quantized: in this thread, or in many (converter/threads). The bytes are the same everywhere. */
export interface QuantizeExecutor {
  /** Jobs to have under way at once; each holds about a MB, one that factors some tens. */
  readonly width: number;
  run(job: QuantizeJob): Promise<QuantizeReply>;
  /** Undefined for inputs whose products are not positive definite. */
  factor(job: FactorJob): Promise<HessianPart | undefined>;
}

/** In this thread, in plain JavaScript. */
export const plainExecutor: QuantizeExecutor = {
  width: 1,
  run: async (job) => jobRunner(undefined)(job),
  factor: async (job) => factorInputs(job),
};
