import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { load } from '../../backends/tfjs/driver/index.ts';
import { nodeTfjs } from '../../backends/tfjs/node_tfjs.ts';
import { syntheticCases } from '../../verify/cases.ts';
import { reportText } from '../../verify/report.ts';
import { verifyProgram } from '../../verify/verify.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { fullPrompt, longModel, POSITIONS, shortBundle } from '../testing/short_model.ts';

/* The last position that a model promises computes what it does in a model of many more. WGSL: last_position.slow. */

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-last-position-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test.each([
  ['onnx', 'cpu'],
  ['tfjs', 'cpu'],
] as const)('%s on %s', async (backend, device) => {
  await using reference = await longModel();
  const short = await openBundle(await shortBundle(root, backend), device);
  try {
    const { runner, metadata } = short;
    expect(metadata.maxPositions).toBe(POSITIONS);
    const report = await verifyProgram({
      candidate: runner,
      reference: reference.runner,
      metadata,
      cases: syntheticCases(metadata).filter(({ name }) => name !== 'three rows, left-padded'),
      precision: 'fp32',
      invariants: false,
    });
    expect(report.passed, reportText(report)).toBe(true);
  } finally {
    await short.dispose();
  }
});

test('pgconv/tfjs reads a prompt that takes every position', async () => {
  await using reference = await longModel();
  const { prompt, logits } = await fullPrompt(reference);
  expect(prompt.inputIds.shape).toEqual([1, POSITIONS]);
  const model = await load(await shortBundle(join(root, 'driver'), 'tfjs'), { tf: await nodeTfjs('cpu') });
  try {
    const images = [await model.encodePixels(Float32Array.from(prompt.pixelValues.data))];
    await model.prefill({ rows: [[...prompt.inputIds.data]], images, maxNewTokens: 1 });
    const { data } = await model.logits();
    data.forEach((logit, i) => expect(Math.abs(logit - logits[i]!), `logit ${i}`).toBeLessThan(1e-4));
  } finally {
    model.dispose();
  }
});
