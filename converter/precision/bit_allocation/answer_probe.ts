import { evaluatorRunner, type Kernels } from '../../../ir/evaluate.ts';
import type { Program } from '../../../ir/graph.ts';
import { quantizableWeights } from '../../../ir/passes/index.ts';
import { encodeImages, type Model } from '../../../verify/decode.ts';
import { generateRow } from '../../../verify/generate.ts';
import { compareRows, pooledAgreement, type RowAgreements } from '../../../verify/metrics.ts';
import type { Prompt } from '../../../verify/prompt.ts';
import { rowsOf, type Rows } from '../../../verify/rows.ts';
import { readTeacherForced } from '../../../verify/teacher_forced.ts';
import type { CalibrationSample } from '../../samples/calibration_sample.ts';

export interface ProbeOptions {
  readonly samples: readonly CalibrationSample[];
  /** Longest answer, in tokens. */
  readonly newTokens: number;
  readonly kernels?: Kernels | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Answered {
  readonly prompt: Prompt;
  readonly images: Awaited<ReturnType<typeof encodeImages>>;
  readonly tokens: readonly number[];
  readonly rows: Rows;
}

/** How far programs of a model are from it where it reads prompts and answers them. */
export interface AnswerProbe {
  /** Mean Kullback–Leibler divergence of the next-token distributions, in nats, over text and answers. */
  divergenceOf(candidate: Program): Promise<number>;
}

/**
 * Lets a model answer samples, and keeps what it says: others are told to read the same. Weights of the image tower
 * that are the model's own are not run again.
 */
export async function answerProbe(
  original: Program,
  { samples, newTokens, kernels, signal }: ProbeOptions,
): Promise<AnswerProbe> {
  const { metadata } = original;
  const modelOf = (program: Program): Model => ({
    runner: evaluatorRunner(program, 'sensitivity', kernels && { kernels }),
    metadata,
  });
  const rowsIn = (read: Awaited<ReturnType<typeof readTeacherForced>>) =>
    rowsOf(read.logits, { columns: metadata.vocabSize });
  const model = modelOf(original);
  const answered: Answered[] = [];
  for (const sample of samples) {
    signal?.throwIfAborted();
    const prompt = await sample.load();
    const images = await encodeImages(model, prompt.pixelValues);
    const tokens: number[] = [];
    for await (const token of generateRow(model, prompt, { maxNewTokens: newTokens, ...(signal && { signal }) }))
      tokens.push(token);
    answered.push({ prompt, images, tokens, rows: rowsIn(await readTeacherForced(model, prompt, images, tokens)) });
  }
  const towerOf = ({ graphs }: Program) => graphs.find(({ name }) => name === 'vision_encoder');
  const matrices = quantizableNames(towerOf(original));
  return {
    async divergenceOf(candidate) {
      const other = modelOf(candidate);
      const sameTower = quantizableNames(towerOf(candidate)) === matrices;
      const parts: RowAgreements[] = [];
      for (const { prompt, images, tokens, rows } of answered) {
        signal?.throwIfAborted();
        const seen = sameTower ? images : await encodeImages(other, prompt.pixelValues);
        parts.push(compareRows(rowsIn(await readTeacherForced(other, prompt, seen, tokens)), rows, () => 0));
      }
      return pooledAgreement(parts).meanKld;
    },
  };
}

/** Which matrices of a graph are floats. */
function quantizableNames(graph: Program['graphs'][number] | undefined): string {
  return graph ? JSON.stringify(quantizableWeights(graph).map(({ name }) => name)) : '';
}
