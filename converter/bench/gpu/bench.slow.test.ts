import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { itOnGpu } from '../../../verify/environment/requirement.ts';
import type { PaliGemmaConfig } from '../../models/paligemma/config.ts';
import { measure } from './measure.ts';
import { syntheticProgram } from './programs.ts';
import { randomCodes } from '../random_codes.ts';
import { speedReport } from './report.ts';

/** A Gemma with one layer, as small as blocks of 32 allow. */
const config: PaliGemmaConfig = {
  vision: { layers: 1, width: 32, mlpWidth: 64, heads: 2, headDim: 16, patchSize: 14, imageSize: 28, epsilon: 1e-6 },
  text: {
    layers: 1,
    width: 32,
    mlpWidth: 64,
    heads: 2,
    kvHeads: 1,
    headDim: 16,
    queryScale: 0.25,
    postNorms: false,
    attentionSoftcap: 0,
    finalSoftcap: 0,
    slidingWindow: 0,
    slidingLayers: [],
    epsilon: 1e-6,
    ropeTheta: 10000,
    maxPositions: 64,
  },
  vocabSize: 100,
  tableRows: 128,
  imageTokenId: 100,
  retrievalWidth: 0,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
};

itOnGpu(
  'both runtimes run one model, and the report names them, the device, and what did not run',
  async () => {
    const root = await mkdtemp(join(tmpdir(), 'pgconv-bench-'));
    const options = {
      program: syntheticProgram(config),
      quantize: randomCodes,
      dir: join(root, 'onnx'),
      promptTokens: 3,
      steps: 2,
      warmUps: 0,
      runs: 1,
      peaks: () => ({ copyBytes: 2 ** 20, milliseconds: 1 }),
      log: () => {},
    };
    const measured = await measure({ ...options, precision: 'int4', checkOnCpu: true });
    expect(await readdir(root)).toEqual([]);
    await rm(root, { recursive: true });
    const [own, other] = measured.times;
    expect([own!.side, other!.side]).toEqual(['pgconv int4', 'onnxruntime int4']);
    expect(other!.tokens, 'two runtimes, one model').toEqual(own!.tokens);
    expect(Object.keys(measured.apart)).toEqual(['onnxruntime int4', 'onnxruntime int4 cpu']);
    for (const { relativeL2, kld } of Object.values(measured.apart)) {
      expect(relativeL2).toBeLessThan(1e-4);
      expect(kld).toBeLessThan(1e-8);
    }
    for (const { microseconds, kernels } of measured.phases) {
      expect(microseconds).toBeGreaterThan(0);
      expect(kernels.length).toBeGreaterThan(3);
    }
    expect(Object.keys(measured.notRun), 'the software GPU has no f16').toEqual(['onnxruntime q4f16']);
    for (const { milliseconds } of measured.times)
      for (const values of Object.values(milliseconds)) expect(Math.min(...values)).toBeGreaterThan(0);
    const report = speedReport([measured], 'a title');
    for (const text of [
      'a title',
      measured.adapter,
      'a software GPU',
      'onnxruntime q4f16: not run: ',
      'the same 3 tokens',
    ])
      expect(report).toContain(text);
  },
  600_000,
);
