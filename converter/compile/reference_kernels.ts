import type { Kernels } from '../../ir/evaluate.ts';
import { fastKernels } from '../precision/fast_kernels.ts';
import type { Reporter } from '../terminal/reporter.ts';

/** What the evaluator's own loops do in a second, of a core of 2023. */
const PLAIN_PER_SECOND = 0.6e9;
/** What takes longer by them is told before. */
const WORTH_TELLING_SECONDS = 120;

/**
 * Products of the reference: ONNX Runtime's, where it is installed, else undefined for the evaluator's own, and how
 * long these will take is told. @param multiplications of all that it computes
 */
export async function referenceKernels(multiplications: number, reporter: Reporter): Promise<Kernels | undefined> {
  const kernels = await fastKernels();
  if (kernels) return kernels;
  const seconds = multiplications / PLAIN_PER_SECOND;
  if (seconds > WORTH_TELLING_SECONDS)
    reporter.warn(
      `the reference is computed without onnxruntime-node and takes about ${durationText(seconds)}; with it, a hundredth of that: npm install onnxruntime-node`,
    );
  return undefined;
}

function durationText(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}
