import { describe, expect, test } from 'vitest';
import type { Runner } from '../backends/backend.ts';
import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { syntheticCases } from './cases.ts';
import type { Progress } from './forecast.ts';
import { reportText } from './report.ts';
import { countingMetadata as metadata, countingModel } from './testing/counting_runner.ts';
import { verifyProgram, type VerifyOptions, type VerifyReport } from './verify.ts';

// The counting model sees neither ahead nor images: its invariants are another test's subject
// (converter/e2e/mutations.test.ts).
const cases = syntheticCases(metadata);

function verify(candidate: Runner, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  return verifyProgram({
    candidate,
    reference: countingModel().runner,
    metadata,
    cases,
    precision: 'fp32',
    invariants: false,
    ...options,
  });
}

/** The counting model with its decoder's logits changed. */
function withLogits(change: (logits: Tensor, inputs: Readonly<Record<string, Tensor>>) => void): Runner {
  const { runner } = countingModel();
  return {
    ...runner,
    run: async (graph, inputs, options) => {
      const results = await runner.run(graph, inputs, options);
      if (graph === 'decoder') change(results['logits']!, inputs);
      return results;
    },
  };
}

const failedOutputs = (report: VerifyReport) => [
  ...new Set(report.checks.filter(({ passed }) => !passed).map(({ output }) => output)),
];

test('a model passes against itself', async () => {
  const report = await verify(countingModel().runner);
  expect(report).toMatchObject({
    passed: true,
    candidate: 'counting',
    reference: 'counting',
    precision: 'fp32',
    greedyDifferences: [],
  });
  expect(report.checks.map((c) => `${c.case}: ${c.output}`)).toEqual(
    cases.flatMap(({ name }) =>
      ['image_features', 'prefill logits', 'suffix logits', 'greedy logits', 'greedy tokens']
        .filter((output) => output !== 'image_features' || name !== 'last positions')
        .map((output) => `${name}: ${output}`),
    ),
  );
  expect(reportText(report)).toContain('verification passed: 14 of 14 checks');
});

describe('logits have the columns of the vocabulary', () => {
  const COMPARED = ['prefill logits', 'suffix logits', 'greedy logits'];

  test('and what a recording has beyond does not count', async () => {
    const report = await verify(countingModel().runner, { reference: countingModel('f32', metadata, 12).runner });
    expect(report.passed, reportText(report)).toBe(true);
  });

  test.each([
    ['one more, which clients would choose', 11],
    ['one less', 9],
  ])('%s: fails, whatever the rest is', async (_, columns) => {
    const { runner } = countingModel('f32', metadata, columns);
    const report = await verify(runner, { reference: countingModel('f32', metadata, columns).runner });
    expect(failedOutputs(report)).toEqual(COMPARED);
    expect(report.checks.find(({ passed }) => !passed)!.note).toBe(`${columns} columns, the vocabulary has 10`);
  });

  test('also where rows are held against the model itself', async () => {
    const { runner } = countingModel('f32', metadata, 11);
    const report = await verify(runner, { reference: countingModel().runner, invariants: true });
    expect(failedOutputs(report)).toEqual(
      expect.arrayContaining(['row 0 in the batch = alone', 'suffix at once = token by token']),
    );
  });
});

test('logits at padding do not count, and at tokens they do', async () => {
  const spoil = (wanted: number) =>
    withLogits(({ data }, inputs) => {
      const mask = inputs['attention_mask']!;
      if (mask.shape[0] === 3 && inputs['past_key_values.0.key']!.shape[2] === 0)
        mask.data.forEach((m, i) => m === wanted && (data[i * 10] = Number.NaN));
    });
  expect((await verify(spoil(0))).passed).toBe(true);
  expect(failedOutputs(await verify(spoil(1)))).toContain('prefill logits');
});

test('one NaN in one logit of the suffix fails, and says where', async () => {
  const report = await verify(withLogits(({ data, shape }) => shape[1] === 3 && (data[10 + 4] = Number.NaN)));
  const failed = report.checks.filter(({ passed }) => !passed);
  expect(failed.map(({ output }) => output)).toEqual(['suffix logits', 'suffix logits', 'suffix logits']);
  expect(failed[0]).toMatchObject({ at: [0, 1, 4], metrics: { nonFinite: 1, maxAbs: Infinity } });
  const text = reportText(report);
  expect(text).toContain(
    'failed: three rows, left-padded, suffix logits at [0, 1, 4]: nonFinite is 1.0e+0, at most 0 is allowed',
  );
  expect(text).toContain('verification FAILED: 11 of 14');
});

test('where no stage is off, the first output that fails is where to look', async () => {
  const staged = (runner: Runner): Runner => ({
    ...runner,
    run: async (graph, inputs, options) => ({
      ...(await runner.run(graph, inputs, options)),
      ...(graph === 'decoder' && {
        'lm.0': tensorOf('f32', inputs['inputs_embeds']!.shape, inputs['inputs_embeds']!.data),
      }),
    }),
  });
  const off = withLogits(({ data }) => (data[0]! += 1));
  const report = await verify(staged(off), {
    reference: staged(countingModel().runner),
    stages: { decoder: ['lm.0'] },
  });
  expect(failedOutputs(report)).toEqual(expect.arrayContaining(['prefill logits', 'suffix logits', 'greedy logits']));
  expect(report.firstDivergingStage).toMatchObject({ case: cases[0]!.name, phase: 'prefill', stage: 'logits' });
});

describe('greedy tokens', () => {
  const lead =
    (margin: number) =>
    (swap: boolean): Runner =>
      withLogits(({ data }) => {
        for (let row = 0; row < data.length; row += 10) {
          const top = data.subarray(row, row + 10).indexOf(Math.max(...data.subarray(row, row + 10)));
          data[row + ((top + 3) % 10)] = data[row + top]! - margin;
          if (swap) data[row + ((top + 3) % 10)] = data[row + top]! + margin / 16;
        }
      });

  test('that part on a tie are listed and pass', async () => {
    const near = lead(2e-5);
    const report = await verify(near(true), { reference: near(false) });
    expect(report.passed, reportText(report)).toBe(true);
    expect(report.greedyDifferences.length).toBeGreaterThan(0);
    expect(report.greedyDifferences.every(({ tie }) => tie)).toBe(true);
    expect(reportText(report)).toMatch(
      /tie: three rows, left-padded, row 0, step 0: token \d instead of \d, which led by 0\.0000200/,
    );
  });

  test('that part off a tie fail, step by step', async () => {
    const far = lead(0.5);
    const report = await verify(far(true), { reference: far(false) });
    expect(failedOutputs(report)).toContain('greedy tokens');
    const { greedyDifferences: differences } = report;
    expect(differences.filter((d) => d.case === 'one long row').map(({ step }) => step)).toEqual([0, 1, 2, 3]);
    expect(differences.every(({ tie }) => !tie)).toBe(true);
  });
});

test('a shape that differs fails without being read', async () => {
  const { runner } = countingModel();
  const narrow: Runner = {
    ...runner,
    run: async (graph, inputs) =>
      Object.fromEntries(
        Object.entries(await runner.run(graph, inputs)).map(([name, t]) => [
          name,
          name === 'logits' ? { ...t, shape: [t.shape[0]!, t.shape[1]! * 2, 5] } : t,
        ]),
      ),
  };
  const report = await verify(narrow, { cases: cases.map((c) => ({ ...c, maxNewTokens: 0 })) });
  expect(report.checks.find(({ output }) => output === 'prefill logits')).toMatchObject({
    passed: false,
    note: expect.stringContaining('shape ['),
  });
});

test('progress counts every case once on each side', async () => {
  const seen: Progress[] = [];
  await verify(countingModel().runner, { onProgress: (progress) => seen.push(progress) });
  const total = 2 * cases.reduce((sum, { inputIds }) => sum + inputIds.data.length, 0);
  expect(seen.at(0)).toEqual({ done: 0, total, label: 'reference' });
  expect(seen.at(-1)).toEqual({ done: total, total, label: 'candidate', secondsLeft: 0 });
  expect(seen.map(({ done }) => done)).toEqual(seen.map(({ done }) => done).toSorted((a, b) => a - b));
  expect(new Set(seen.map(({ done }) => done)).size).toBe(1 + 2 * cases.length);
});

test('no cases, or a recording without the case, is no success', async () => {
  await expect(verify(countingModel().runner, { cases: [] })).rejects.toMatchObject({ code: 'bad_case' });
  await expect(
    verify(countingModel().runner, { reference: { description: 'r', outcomes: new Map() } }),
  ).rejects.toMatchObject({ code: 'bad_recording' });
});

test('a model that ignores what is ahead fails its invariants', async () => {
  const report = await verify(countingModel().runner, { invariants: true });
  expect(failedOutputs(report)).toEqual(['prompt sees ahead']);
});

describe('vectors', () => {
  const retriever = { ...metadata, retrievalWidth: 2 };

  /** The counting model with a head that gives a unit vector for each token, 0 for padding. */
  function withVectors(change: (vectors: Tensor) => Tensor | undefined = (vectors) => vectors): Runner {
    const { runner } = countingModel();
    return {
      ...runner,
      run: async (graph, inputs, options) => {
        const results = await runner.run(graph, inputs, options);
        if (graph !== 'decoder') return results;
        const {
          shape: [batch, seq],
          data,
        } = inputs['inputs_embeds']! as Tensor & { shape: [number, number] };
        const mask = inputs['attention_mask']!;
        const isToken = (i: number) =>
          mask.data[Math.floor(i / seq) * mask.shape[1]! + mask.shape[1]! - seq + (i % seq)] !== 0;
        const embeddings = change({
          dtype: 'f32',
          shape: [batch, seq, 2],
          data: Float32Array.from({ length: batch * seq * 2 }, (_, i) =>
            isToken(i >> 1) ? (i % 2 === 0 ? Math.cos(data[i >> 1]!) : Math.sin(data[i >> 1]!)) : 0,
          ),
        });
        return embeddings ? { ...results, embeddings } : results;
      },
    };
  }
  const verifyVectors = (candidate: Runner, options: Partial<VerifyOptions> = {}) =>
    verify(candidate, { reference: withVectors(), metadata: retriever, cases: syntheticCases(retriever), ...options });

  test('are compared in prompt and suffix, and by what they score', async () => {
    const report = await verifyVectors(withVectors());
    expect(report.passed, reportText(report)).toBe(true);
    expect(
      report.checks.filter((c) => /embeddings|scores/.test(c.output)).map((c) => `${c.case}: ${c.output}`),
    ).toEqual([
      'three rows, left-padded: prefill embeddings',
      'three rows, left-padded: suffix embeddings',
      'last positions: prefill embeddings',
      'last positions: suffix embeddings',
      'one long row: prefill embeddings',
      'one long row: suffix embeddings',
      'queries, left-padded: prefill embeddings',
      'last positions × three rows, left-padded: MaxSim scores',
      'last positions × one long row: MaxSim scores',
      'queries, left-padded × three rows, left-padded: MaxSim scores',
      'queries, left-padded × one long row: MaxSim scores',
    ]);
    expect(
      report.checks.some(({ case: name, output }) => name.startsWith('queries') && output === 'image_features'),
    ).toBe(false);
  });

  test('that the reference has and the candidate lacks fail', async () => {
    const report = await verifyVectors(countingModel().runner, { metadata });
    expect(failedOutputs(report)).toEqual(['prefill embeddings', 'suffix embeddings', 'MaxSim scores']);
    expect(report.checks.find(({ output }) => output === 'prefill embeddings')!.note).toBe(
      'the candidate gave nothing to compare',
    );
  });

  test('that the bundle promises and does not give are an error', async () => {
    await expect(verifyVectors(withVectors(() => undefined))).rejects.toMatchObject({
      code: 'bad_output',
      message: expect.stringContaining('"embeddings"'),
    });
  });

  test('of another width or another batch fail, and nothing of them is read', async () => {
    const report = await verifyVectors(
      withVectors(({ shape: [batch, seq], data, dtype }) => ({ dtype, shape: [batch!, seq! * 2, 1], data })),
    );
    expect(failedOutputs(report)).toEqual(['prefill embeddings', 'suffix embeddings', 'MaxSim scores']);
  });

  test('one element that is off fails, and says where', async () => {
    const report = await verifyVectors(
      withVectors((vectors) =>
        vectors.shape[1] === 3 ? { ...vectors, data: vectors.data.map((x, i) => (i === 3 ? x + 1e-4 : x)) } : vectors,
      ),
    );
    expect(report.checks.filter(({ passed }) => !passed)).toMatchObject([
      { output: 'suffix embeddings', at: [0, 1, 1] },
      { output: 'suffix embeddings', at: [0, 1, 1] },
      { output: 'suffix embeddings', at: [0, 1, 1] },
    ]);
  });
});
