import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { openModel } from '../models/open_model.ts';
import { fastKernels } from '../precision/fast_kernels.ts';
import { readTrueMasks } from '../samples/true_masks.ts';
import { decodeAnswer, maskScores, type DecodedAnswer } from './mask_scores.ts';

const SEGMENTS = 'fixtures/segments';
/** Of 120, spread: a mask takes the evaluator a third of a second. */
const CASES = [0, 40, 80, 119];
/** The fixture tells overlaps to five digits. */
const DIGITS = 5e-6;

/** What a decoder makes of Hugging Face's answers, and how it fits. */
async function scored(maskDecoder: string, originals?: readonly DecodedAnswer[]) {
  const file = await readFile(`${SEGMENTS}/eval.json`, 'utf8');
  const { cases } = JSON.parse(file) as { cases: { image: string; text: string; iou: number }[] };
  const { model, close } = await openModel({ checkpoint: `${SEGMENTS}/hf`, maskDecoder });
  try {
    const kernels = await fastKernels();
    const { program } = model;
    const decoder = {
      runner: evaluatorRunner(program, undefined, kernels && { kernels }),
      metadata: program.metadata,
    };
    return await Promise.all(
      CASES.map(async (index, i) => {
        const { image, text, iou } = cases[index]!;
        const answer = await decodeAnswer(decoder, text);
        const truth = await readTrueMasks(`${SEGMENTS}/images/${image}`, [`${SEGMENTS}/masks/${image}`]);
        return { answer, iou, scores: maskScores(answer, originals?.[i] ?? answer, truth) };
      }),
    );
  } finally {
    await close();
  }
}

test('Hugging Face’s answers have the overlaps that were computed of them there; another codebook has not', async () => {
  const own = await scored(`${SEGMENTS}/vae-oid.npz`);
  for (const { scores, iou } of own) {
    expect(Math.abs(scores.truth - iou)).toBeLessThanOrEqual(DIGITS);
    expect(scores.original).toBe(1);
  }
  const planted = await scored(
    'fixtures/masks/vae-oid.npz',
    own.map(({ answer }) => answer),
  );
  for (const { scores, iou } of planted) {
    expect(scores.truth).toBeLessThan(iou);
    expect(scores.original).toBeLessThan(0.9);
  }
});
