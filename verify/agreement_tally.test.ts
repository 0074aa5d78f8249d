import { describe, expect, test } from 'vitest';
import type { Runner } from '../backends/backend.ts';
import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { syntheticCases, type VerifyCase } from './cases.ts';
import { AgreementTally } from './agreement_tally.ts';
import type { Recorded } from './recording.ts';
import { reportText } from './report.ts';
import type { Outcome } from './run_case.ts';
import { countingMetadata as metadata, countingModel } from './testing/counting_runner.ts';
import { TOLERANCES } from './tolerances.ts';
import { verifyProgram } from './verify.ts';

const verifyCase = { name: 'c', attentionMask: tensorOf('i64', [1, 3], [0, 1, 1]) } as unknown as VerifyCase;
const logits = (...rows: readonly number[][]): Tensor =>
  tensorOf('f32', [1, rows.length, rows[0]!.length], rows.flat());
const tallyOf = (margin = 0, vocabSize = 2) => new AgreementTally({ vocabSize, eosTokenId: 1 }, () => margin);
const KLD = (p: readonly number[], q: readonly number[]) => p.reduce((sum, x, i) => sum + x * Math.log(x / q[i]!), 0);
/** [0.5, 0.5] against [0.8, 0.2]. */
const even = [0, 0];
const leaning = [Math.log(4), 0];

test('positions of all outputs and cases are pooled; padding and the original’s columns behind the vocabulary do not count', () => {
  const tally = tallyOf();
  const original: Outcome = {
    prefillLogits: logits([9, 9, 9], [...even, 9], [...even, 9]),
    suffixLogits: logits([...even, 0]),
  };
  const candidate: Outcome = {
    prefillLogits: logits([0, 5], even, leaning),
    suffixLogits: logits(even),
  };
  tally.add(verifyCase, candidate, original);
  tally.add(verifyCase, { suffixLogits: logits(leaning) }, { suffixLogits: logits(leaning) });
  const { metrics, note } = tally.check('all cases', []);
  expect(note).toMatch(/^4 positions, mean KLD ±5\.6e-2$/);
  expect(metrics.meanKld).toBeCloseTo(KLD([0.5, 0.5], [0.8, 0.2]) / 4, 6);
  expect(metrics.maxKld).toBeCloseTo(KLD([0.5, 0.5], [0.8, 0.2]), 6);
  expect(metrics).toMatchObject({ sameTop1: 1, nonFinite: 0 });
});

test('a mean beyond its bound by chance is not held against a bundle; one that is beyond twice its error is', () => {
  const bound = { metric: 'meanKld', atMost: 0.05, reason: 'r' } as const;
  const passes = (same: number, other: number) => {
    const tally = tallyOf();
    const rows = (part: number[]) => [
      ...Array.from({ length: same }, () => even),
      ...Array.from({ length: other }, () => part),
    ];
    const all = { ...verifyCase, attentionMask: tensorOf('i64', [1, 1], [1]) };
    tally.add(all, { suffixLogits: logits(...rows(leaning)) }, { suffixLogits: logits(...rows(even)) });
    const [verdict] = tally.check('all cases', [bound]).bounds;
    return { passed: verdict!.passed, value: verdict!.value };
  };
  // each of the others is 0.223 apart: a mean of 0.056 over 8 positions, ±0.037
  expect(passes(6, 2)).toEqual({ passed: true, value: expect.closeTo(0.0558, 3) as number });
  expect(passes(600, 200)).toEqual({ passed: true, value: expect.closeTo(0.0558, 3) as number });
  expect(passes(6000, 2000)).toEqual({ passed: false, value: expect.closeTo(0.0558, 3) as number });
});

test('what is written behind the end of an answer does not count', () => {
  const tally = tallyOf();
  const greedy = (rows: readonly number[][], tokens: readonly number[]) => ({
    greedy: { tokens: [tokens], logits: logits(...rows), choices: [] },
  });
  tally.add(verifyCase, greedy([even, even, leaning], [0, 1, 0]), greedy([even, even, even], [0, 1, 0]));
  const { metrics, note } = tally.check('all cases', []);
  expect(note).toBe('2 positions');
  expect(metrics.maxKld).toBe(0);
});

test('another token within the margin is none', () => {
  const share = (margin: number) => {
    const tally = tallyOf(margin);
    tally.add(verifyCase, { suffixLogits: logits([0, 1], [1, 0]) }, { suffixLogits: logits([0.1, 0], [1, 0]) });
    return tally.check('all cases', []).metrics.sameTop1;
  };
  expect([share(0), share(0.05), share(0.2)]).toEqual([0.5, 0.5, 1]);
});

test('a bound that is broken fails, and so does what is not finite', () => {
  const tally = tallyOf();
  tally.add(verifyCase, { suffixLogits: logits([Number.NaN, 0]) }, { suffixLogits: logits(even) });
  const check = tally.check('all cases', [
    { metric: 'nonFinite', atMost: 0, reason: 'r' },
    { metric: 'meanKld', atMost: 0.1, reason: 'r' },
  ]);
  expect(check.bounds.map(({ passed }) => passed)).toEqual([false, false]);
  expect(check.metrics).toMatchObject({ nonFinite: 1, meanKld: Infinity });
});

test('a candidate that gave less is refused', () => {
  expect(() => tallyOf().add(verifyCase, {}, { suffixLogits: logits(even) })).toThrow(
    'c, suffix logits: [nothing], not [1, 1, 2] as the original',
  );
  expect(() => tallyOf().add(verifyCase, { suffixLogits: logits(even, even) }, { suffixLogits: logits(even) })).toThrow(
    '[1, 2, 2]',
  );
});

test('a candidate of other columns than the vocabulary’s is refused: clients choose among all', () => {
  expect(() =>
    tallyOf().add(verifyCase, { suffixLogits: logits([...even, 9]) }, { suffixLogits: logits(even) }),
  ).toThrow(`[1, 1, ${even.length + 1}]`);
});

describe('verification by two links', () => {
  const cases = syntheticCases(metadata);

  /** The counting model whose logits lie `scale` times as far apart. */
  function scaled(scale: number): Runner {
    const { runner } = countingModel();
    return {
      ...runner,
      description: `counting × ${scale}`,
      run: async (graph, inputs, options) => {
        const results = await runner.run(graph, inputs, options);
        return graph === 'decoder'
          ? { ...results, logits: { ...results['logits']!, data: results['logits']!.data.map((x) => x * scale) } }
          : results;
      },
    };
  }
  const verify = (
    candidate: Runner,
    reference: Runner | undefined,
    original: Runner | Recorded,
    precision: 'int8' | 'int4' = 'int8',
  ) =>
    verifyProgram({
      candidate,
      ...(reference && { reference }),
      original: { model: original, help: 'none' },
      metadata,
      cases,
      precision,
      invariants: false,
    });
  const failed = ({ checks }: Awaited<ReturnType<typeof verify>>) => [
    ...new Set(checks.filter(({ passed }) => !passed).map(({ output }) => output)),
  ];

  test('the same codes, a little off the original: passes', async () => {
    const report = await verify(scaled(1.02), scaled(1.02), scaled(1));
    expect(report.passed, reportText(report)).toBe(true);
    expect(report).toMatchObject({
      candidate: 'counting × 1.02',
      reference: 'counting × 1.02',
      original: 'counting × 1',
    });
    expect(reportText(report)).toContain('against counting × 1.02 and counting × 1, int8:');
    expect(report.checks.at(-1)).toMatchObject({ case: 'all cases', output: 'logits against the original' });
  });

  test('off the original by less than codes may cost, but off the codes: fails', async () => {
    expect(failed(await verify(scaled(1.02), scaled(1), scaled(1)))).toEqual([
      'prefill logits',
      'suffix logits',
      'greedy logits',
    ]);
  });

  test('on the codes, which are too far from the original: fails, int8 before int4', async () => {
    expect(failed(await verify(scaled(1.2), scaled(1.2), scaled(1)))).toEqual(['logits against the original']);
    expect(failed(await verify(scaled(1.2), scaled(1.2), scaled(1), 'int4'))).toEqual([]);
  });

  test('the original alone can be asked, a recording too, on other cases', async () => {
    const report = await verify(scaled(1.02), undefined, scaled(1));
    expect(report.checks.map(({ output }) => output)).toEqual(['logits against the original']);
    expect(report).not.toHaveProperty('reference');
    const real = [{ ...cases.at(-1)!, name: 'real' }];
    const recorded: Recorded = {
      description: 'recorded',
      outcomes: new Map([
        [
          'real',
          { suffixLogits: logits(...Array.from({ length: 3 }, () => Array.from({ length: 10 }, (_, i) => -i))) },
        ],
      ]),
    };
    const other = await verifyProgram({
      candidate: scaled(1),
      original: { model: recorded, help: 'none', cases: real },
      metadata,
      cases,
      precision: 'int8',
      invariants: false,
    });
    expect(other.checks.at(-1)!.note).toMatch(/^3 positions, mean KLD ±/);
  });

  test('every part counts in the progress', async () => {
    const seen: string[] = [];
    await verifyProgram({
      candidate: scaled(1),
      reference: scaled(1),
      original: { model: scaled(1), help: 'none' },
      metadata,
      cases,
      precision: 'int8',
      onProgress: ({ done, total, label }) => seen.push(`${done === total} ${done} ${label.replace(/.*: /, '')}`),
    });
    expect(seen[0]).toBe('false 0 original and reference');
    expect(seen.at(-1)).toMatch(/^true \d+ candidate$/);
    expect(new Set(seen.map((each) => each.split(' ').slice(2).join(' ')))).toEqual(
      new Set(['original and reference', 'candidate']),
    );
  });

  test('nothing to hold it against is no success', async () => {
    await expect(verifyProgram({ candidate: scaled(1), metadata, cases, precision: 'int8' })).rejects.toMatchObject({
      code: 'bad_case',
    });
    await expect(
      verifyProgram({
        candidate: scaled(1),
        original: { model: scaled(1), help: 'none' },
        metadata,
        cases,
        precision: 'fp32',
      }),
    ).rejects.toThrow('fp32 has no bounds on quality');
  });
});

test('the margin of a precision is the noise that its divergence allows, wider for fewer bits', () => {
  const sizes = { layers: 18, hiddenSize: 2048 };
  const margin = (precision: 'int8' | 'int4' | 'q4f16', help: 'none' | 'mixed or calibrated') =>
    TOLERANCES[precision](sizes).quality!(help).tieMargin(1);
  expect(margin('int8', 'none')).toBeCloseTo(0.0894, 3);
  expect(margin('int4', 'none')).toBeCloseTo(0.4, 6);
  expect(margin('q4f16', 'mixed or calibrated')).toBeCloseTo(0.3464, 3);
  expect(TOLERANCES.int4(sizes).quality!('mixed or calibrated').bounds).toMatchObject([
    { metric: 'nonFinite' },
    { metric: 'meanKld', atMost: 0.03 },
    { metric: 'sameTop1', atLeast: 0.93 },
  ]);
  expect(TOLERANCES.int4(sizes).quality!('none').bounds).toMatchObject([
    { metric: 'nonFinite' },
    { metric: 'meanKld', atMost: 0.04 },
    { metric: 'sameTop1', atLeast: 0.92 },
  ]);
  expect(TOLERANCES.int8(sizes).logits).toEqual(TOLERANCES.fp32(sizes).logits);
  expect(TOLERANCES.q4f16(sizes).logits).toEqual(TOLERANCES.fp16(sizes).logits);
});
