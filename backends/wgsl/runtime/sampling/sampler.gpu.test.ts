import { describe, expect } from 'vitest';
import { randomSource } from '../../../../ir/random_source.ts';
import { itOnGpu } from '../../../testing/gpu.ts';
import { testDevice } from '../../testing/gpu.ts';
import type { Counters } from '../executor.ts';
import { DeviceMemory } from '../memory.ts';
import { keptTokens, sampledToken } from '../testing/sampling_reference.ts';
import { samplingOf, type SamplingOptions } from '../../../client/generation/sampling.ts';
import { Sampler } from './sampler.ts';

interface Case extends SamplingOptions {
  /** One for all rows. */
  readonly logits: readonly number[];
  readonly rows: number;
  readonly steps: number;
  readonly stops?: readonly number[];
  /** Of each row. */
  readonly prompt?: readonly number[];
}

const counters = (): Counters => ({
  dispatches: 0,
  submits: 0,
  passes: 0,
  bindGroups: 0,
  readbackBytes: 0,
  uploadedBytes: 0,
});
const CAPACITY = 50;

/** [steps][rows] tokens and the buffers for the next step; columns beyond the vocabulary would win. */
async function sample({ logits, rows, steps, stops = [], prompt = [], ...options }: Case) {
  const memory = new DeviceMemory(await testDevice());
  const { device } = memory;
  const columns = logits.length + 3;
  const filled = (data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>) => {
    const buffer = memory.create({
      size: Math.max(16, data.byteLength),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  const rowsOf = Float32Array.from({ length: rows * columns }, (_, i) => logits[i % columns] ?? 1e9);
  const buffers = {
    logits: filled(rowsOf),
    inputIds: filled(new Int32Array(rows)),
    positionIds: filled(new Int32Array(rows).fill(9)),
    attentionMask: filled(new Int32Array(rows * CAPACITY)),
    dims: filled(Int32Array.of(7, 4, 5)),
  };
  const counted = counters();
  const sampler = await Sampler.create(
    memory,
    {
      ...{ rows, columns, vocab: logits.length, pad: 77, stops, ring: steps, capacity: CAPACITY },
      prompt: {
        rows,
        length: prompt.length,
        inputIds: Array.from({ length: rows }, () => prompt).flat(),
        attentionMask: Array<number>(rows * prompt.length).fill(1),
      },
    },
    buffers,
    1,
    samplingOf(options),
    counted,
  );
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < steps; i++) sampler.encode(pass, counted);
  pass.end();
  const read = [sampler.tokens, buffers.inputIds, buffers.positionIds, buffers.attentionMask, buffers.dims].map(
    (buffer) => {
      const copy = memory.create({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
      return copy;
    },
  );
  device.queue.submit([encoder.finish()]);
  const [tokens, ids, positions, mask, dims] = await Promise.all(
    read.map(
      async (copy) => (await copy.mapAsync(GPUMapMode.READ), [...new Int32Array(copy.getMappedRange().slice(0))]),
    ),
  );
  memory.dispose();
  return {
    tokens: Array.from({ length: steps }, (_, i) => tokens!.slice(i * rows, (i + 1) * rows)),
    ids: ids!.slice(0, rows),
    positions: positions!.slice(0, rows),
    mask: mask!,
    dims: dims!.slice(0, 3),
    counted,
  };
}

function expectAsReference(found: readonly (readonly number[])[], { logits, ...options }: Case): void {
  expect(found).toEqual(found.map((row, made) => row.map((_, r) => sampledToken(logits, options, made, r))));
}

const random = (count: number, scale: number, seed: number) => {
  const next = randomSource(seed);
  return Array.from({ length: count }, () => Math.fround((next() - 0.5) * scale));
};

describe('greedy', () => {
  itOnGpu('the lowest of equals, across lanes and workgroups, of the vocabulary only', async () => {
    const logits = Array<number>(9001).fill(-5);
    for (const at of [8999, 300, 556, 4500]) logits[at] = 3;
    expect((await sample({ logits, rows: 2, steps: 1 })).tokens).toEqual([[300, 300]]);
    expect((await sample({ logits: [-3e38, -3e38, -2e38], rows: 1, steps: 1 })).tokens).toEqual([[2]]);
    expect((await sample({ logits: [-7], rows: 1, steps: 1 })).tokens).toEqual([[0]]);
  });

  itOnGpu('what the next step reads; rows that have ended read padding', async () => {
    const { tokens, ids, positions, mask, dims, counted } = await sample({
      logits: [0, 1, 5, 2],
      rows: 2,
      steps: 3,
      stops: [9, 2],
    });
    expect(tokens).toEqual([
      [2, 2],
      [77, 77],
      [77, 77],
    ]);
    expect([ids, positions, dims]).toEqual([
      [77, 77],
      [12, 12],
      [7, 7, 5],
    ]);
    expect(mask.flatMap((x, i) => (x === 1 ? [i] : []))).toEqual([5, 6, 7, CAPACITY + 5, CAPACITY + 6, CAPACITY + 7]);
    expect([counted.dispatches, counted.bindGroups]).toEqual([6, 2]);
  });
});

describe('a penalty of repetition', () => {
  // no decoder writes new logits here: those that were made smaller are made smaller again
  itOnGpu(
    'makes tokens of the prompt and of the answer less likely, in every row, where they are greedy too',
    async () => {
      const given = { rows: 2, steps: 3, prompt: [0], repetitionPenalty: 2 };
      const { tokens, counted } = await sample({ ...given, logits: [5, 4, 3, 2] });
      expect(tokens).toEqual([1, 2, 3].map((token) => [token, token]));
      expect([counted.dispatches, counted.bindGroups]).toEqual([9, 3]);
      expect((await sample({ ...given, steps: 1, logits: [-1, -1.5] })).tokens).toEqual([[1, 1]]);
    },
  );

  itOnGpu('finds its bits across words and workgroups', async () => {
    const logits = Array.from({ length: 9001 }, (_, token) => (token % 100 === 31 ? 3 : 1));
    const seen = logits.flatMap((logit, token) => (logit === 3 && token !== 8931 ? [token] : []));
    const { tokens } = await sample({ logits, rows: 2, steps: 1, prompt: seen, repetitionPenalty: 4 });
    expect(tokens).toEqual([[8931, 8931]]);
  });
});

describe('NaN is never chosen', () => {
  const logits = Array<number>(9001).fill(Number.NaN);
  const options: readonly SamplingOptions[] = [
    {},
    { temperature: 1 },
    { temperature: 2, topK: 3 },
    { temperature: 2, topP: 0.9 },
    { temperature: 2, topK: 4, topP: 0.9 },
    { temperature: 2, minP: 0.1 },
    { temperature: 2, repetitionPenalty: 1.5 },
  ];
  for (const given of options)
    itOnGpu(`${JSON.stringify(given)}: nor hides the numbers beside it; none where all are NaN`, async () => {
      const some = logits.with(257, 1).with(258, -Infinity).with(5000, 2).with(8999, 2);
      const { tokens } = await sample({ logits: some, rows: 2, steps: 8, ...given });
      const numbers = given.temperature ? [257, 5000, 8999] : [5000];
      expect(tokens.flat().filter((token) => !numbers.includes(token))).toEqual([]);
      const { tokens: none, ids } = await sample({ logits, rows: 2, steps: 2, ...given });
      expect([none, ids]).toEqual([
        [
          [9001, 9001],
          [9001, 9001],
        ],
        [77, 77],
      ]);
      // infinite logits win, the first of them where none is drawn
      const infinite = some.with(4, Infinity).with(9000, Infinity);
      const { tokens: best } = await sample({ logits: infinite, rows: 2, steps: 8, ...given });
      expect(best.flat().filter((token) => ![4, 9000].includes(token))).toEqual([]);
      if (!given.temperature) expect(new Set(best.flat())).toEqual(new Set([4]));
    });
});

describe('sampling, against the definition with the same random numbers', () => {
  const small = { logits: [0.4, 0.3, 0.2, 0.05, 0.05].map(Math.log), rows: 3, steps: 6 };
  const large = { logits: random(9001, 20, 3), rows: 2, steps: 3 };
  const cases: readonly (readonly [string, Case])[] = [
    ['temperature', { ...small, temperature: 1 }],
    ['another seed', { ...small, temperature: 0.7, seed: 123456789 }],
    ['top-k', { ...small, temperature: 1, topK: 2 }],
    ['top-p', { ...small, temperature: 1, topP: 0.65 }],
    ['top-k, then top-p of it', { ...small, temperature: 1.3, topK: 3, topP: 0.5 }],
    ['many tokens', { ...large, temperature: 1.5 }],
    ['top-k of many', { ...large, temperature: 5, topK: 40 }],
    ['top-p of many', { ...large, temperature: 2, topP: 0.9 }],
    ['both of many', { ...large, temperature: 4, topK: 100, topP: 0.8 }],
    ['min-p', { ...small, temperature: 1, minP: 0.3 }],
    ['min-p of many', { ...large, temperature: 3, minP: 0.2 }],
    ['top-k, top-p and min-p of many', { ...large, temperature: 4, topK: 100, topP: 0.9, minP: 0.1 }],
    ['top-k of all', { ...small, temperature: 1, topK: 5 }],
    ['a top-p below the first', { ...small, temperature: 1, topP: 0.1 }],
    ['a top-p below what is counted', { ...small, temperature: 1, topP: 1e-12 }],
    ['a temperature below what f32 divides by', { ...large, temperature: 1e-40, topP: 0.9 }],
    ['a top-k beyond 32 bits', { ...small, temperature: 1, topK: 2 ** 32 + 1 }],
    [
      'negative, zero and equal logits',
      { logits: [0, -0, -1, 2, 2, -1e30, 1e-30], rows: 4, steps: 4, temperature: 3, topK: 3 },
    ],
  ];
  for (const [name, options] of cases)
    itOnGpu(name, async () => {
      expectAsReference((await sample(options)).tokens, options);
    });

  itOnGpu('frequencies are probabilities', async () => {
    const { tokens } = await sample({ ...small, rows: 64, steps: 16, temperature: 1, seed: 5 });
    const draws = tokens.flat();
    const counts = small.logits.map((_, token) => draws.filter((x) => x === token).length);
    // χ² of 4 degrees of freedom is above 23.5 once in 10,000 times; the seed is fixed
    const chi = counts.reduce(
      (sum, count, token) =>
        sum +
        (count - draws.length * Math.exp(small.logits[token]!)) ** 2 / (draws.length * Math.exp(small.logits[token]!)),
      0,
    );
    expect(chi).toBeLessThan(23.5);
  });

  itOnGpu('every token that stays may come, and no other', async () => {
    const logits = random(5000, 4, 8);
    const options = { topK: 7, temperature: 100 };
    const { tokens } = await sample({ logits, rows: 24, steps: 3, ...options });
    expect(new Set(tokens.flat())).toEqual(new Set(keptTokens(logits, options)));
  });

  itOnGpu('the same seed gives the same tokens, another others', async () => {
    const [a, b, c] = await Promise.all(
      [1, 1, 2].map((seed) => sample({ ...large, temperature: 3, topP: 0.95, seed })),
    );
    expect(a!.tokens).toEqual(b!.tokens);
    expect(a!.tokens).not.toEqual(c!.tokens);
  });
});
