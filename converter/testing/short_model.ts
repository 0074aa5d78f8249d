import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Backend } from '../../backends/backend.ts';
import { encodeImages, prefill, type Model } from '../../verify/decode.ts';
import { syntheticCases, type VerifyCase } from '../../verify/cases.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { convert } from '../compile/convert.ts';
import { readCheckpoint } from '../models/paligemma.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { soundProgram } from './fault.ts';

const FIXTURE = 'fixtures/pg1-tiny/hf';
/** Positions of the short model: 16 image tokens and a few of text. */
export const POSITIONS = 24;

/** A tiny checkpoint that promises no more than `POSITIONS`, as an unverified bundle below `root`. */
export async function shortBundle(root: string, backend: Backend['name']): Promise<string> {
  const checkpoint = join(root, 'checkpoint');
  await cp(FIXTURE, checkpoint, { recursive: true });
  const path = join(checkpoint, 'config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as { text_config: object };
  Object.assign(config.text_config, { max_position_embeddings: POSITIONS });
  await writeFile(path, JSON.stringify(config));
  const out = join(root, backend);
  await convert({ checkpoint, backend, precision: 'fp32', out, verify: false }, silentReporter);
  return out;
}

/** The same weights with tables for many more positions, which no last row can spoil. */
export async function longModel(): Promise<Model & AsyncDisposable> {
  const checkpoint = await openCheckpoint(FIXTURE);
  const program = soundProgram(readCheckpoint(checkpoint));
  return {
    runner: evaluatorRunner(program),
    metadata: program.metadata,
    [Symbol.asyncDispose]: () => checkpoint.close(),
  };
}

/** A prompt that takes every position of the short model, and the logits of its last token. */
export async function fullPrompt(model: Model): Promise<{ prompt: VerifyCase; logits: Float32Array }> {
  const behind = 3; // synthetic cases leave room for what they read after the prompt
  const cases = syntheticCases({ ...model.metadata, maxPositions: POSITIONS + behind });
  const prompt = cases.find(({ name }) => name === 'one long row');
  const { features } = await encodeImages(model, prompt!.pixelValues);
  const { logits } = await prefill(model, prompt!, features, { logitsToKeep: 1 });
  return { prompt: prompt!, logits: Float32Array.from(logits.data) };
}
