import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerGraph } from '../../backends/onnx/lower.ts';
import type { PaliGemmaConfig } from '../models/paligemma/config.ts';
import { decodingReport } from './decode_report.ts';
import { decoderProgram } from './decoder_program.ts';
import { FLAVOURS, measureDecoding } from './decode_speed.ts';
import { plainExport } from './plain_export.ts';
import { productsAlone } from './products_alone.ts';

/** Sizes of a Gemma 2, as small as blocks of 32 allow. */
const config: PaliGemmaConfig = {
  vision: { layers: 1, width: 16, mlpWidth: 32, heads: 2, headDim: 8, patchSize: 14, imageSize: 28, epsilon: 1e-6 },
  text: {
    layers: 2,
    width: 32,
    mlpWidth: 64,
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    queryScale: 8 ** -0.5,
    postNorms: true,
    attentionSoftcap: 50,
    finalSoftcap: 30,
    slidingWindow: 4,
    slidingLayers: [0],
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

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-bench-'));
});
afterAll(() => rm(root, { recursive: true }));

describe.each(['int4', 'fp32'] as const)('steps of a decoder with %s weights', (weights) => {
  it('are timed in every flavour, which agree', async () => {
    const measured = await measureDecoding({
      dir: join(root, weights),
      config,
      weights,
      contexts: [3, 9],
      steps: 2,
      threads: 1,
      log: () => {},
    });
    expect(measured.map(({ context, flavour }) => [context, flavour])).toEqual(
      [3, 9].flatMap((context) => FLAVOURS.map((flavour) => [context, flavour])),
    );
    for (const { flavour, milliseconds, withCacheOut } of measured) {
      expect(milliseconds).toHaveLength(2);
      expect(withCacheOut).toHaveLength(flavour === 'products' ? 0 : 2);
      expect(Math.min(...milliseconds, ...withCacheOut)).toBeGreaterThan(0);
    }
    const lines = decodingReport(measured, 'a title').split('\n');
    expect(lines[0]).toContain('a title');
    for (const flavour of FLAVOURS)
      expect(lines.filter((line) => line.includes(flavour)).length).toBeGreaterThanOrEqual(2);
    expect(await readdir(root), 'nothing is left').toEqual([]);
  });
});

it('the products alone are those of the decoder, with the bytes of its weights', () => {
  for (const weights of ['int4', 'fp32'] as const) {
    const [graph] = decoderProgram(config, weights).graphs;
    const alone = productsAlone(graph!);
    const bytes = ({ constants }: typeof alone, op: 'linear' | 'quantized_linear', { nodes }: typeof alone) => {
      const read = new Set(nodes.filter((node) => node.op === op).flatMap((node) => node.inputs));
      return constants
        .filter((c) => c.kind === 'weight' && read.has(c.value))
        .reduce((sum, c) => sum + (c.kind === 'weight' ? c.data.byteLength : 0), 0);
    };
    const op = weights === 'int4' ? 'quantized_linear' : 'linear';
    expect(alone.nodes.map((node) => node.op)).toEqual(Array.from({ length: 7 * config.text.layers + 1 }, () => op));
    expect(bytes(alone, op, alone)).toBe(bytes(graph!, op, graph!));
  }
});

it('the plain graph has what an exporter writes that knows no composite', () => {
  const opsOf = (passes: Parameters<typeof decoderProgram>[2]) =>
    lowerGraph(decoderProgram(config, 'int4', passes).graphs[0]!).nodes.map(({ opType }) => opType);
  const [plain, portable] = [opsOf(plainExport), opsOf([])];
  const composites = ['RMSNormalization', 'Gelu', 'RotaryEmbedding', 'Attention'];
  expect(plain.filter((op) => composites.includes(op))).toEqual([]);
  expect(new Set(portable.filter((op) => composites.includes(op))).size).toBe(3);
  // keys and values of both layers, for every query head
  expect(plain.filter((op) => op === 'Expand').length).toBe(4);
  expect(plain.filter((op) => op === 'MatMulNBits').length).toBe(portable.filter((op) => op === 'MatMulNBits').length);
});
