import { expect, test } from 'vitest';
import { tensorOf } from '../../ir/tensor.ts';
import { testFields } from '../testing/bundle.ts';
import { stageLimit, StageTally, worstStages, type StageNoise } from './stage_noise.ts';

const tensor = (...values: readonly number[]) => tensorOf('f32', [values.length], values);
const NAMES = { vision_encoder: ['vit.0', 'vit.1'], decoder: ['lm.0', 'lm.1'] };

test('SNR in dB and cosine over all cases of a stage, in the order in which values flow', () => {
  const tally = new StageTally(NAMES);
  tally.add('prefill', 'lm.0', tensor(1, 0), tensor(1, 0));
  tally.add('vision', 'vit.1', tensor(3, 4.5), tensor(3, 4)); // 25 against 0.25
  tally.add('vision', 'vit.1', tensor(0, 10), tensor(0, 10)); // 125 against 0.25
  tally.add('vision', 'vit.0', tensor(-1, 1), tensor(1, 1));
  tally.add('suffix', 'lm.1', tensor(Number.NaN, 1), tensor(1, 1));
  const noise = tally.noise();
  expect(noise.map(({ phase, stage }) => `${phase} ${stage}`)).toEqual([
    'vision vit.0',
    'vision vit.1',
    'prefill lm.0',
    'suffix lm.1',
  ]);
  expect(noise[0]!.snr).toBeCloseTo(10 * Math.log10(2 / 4), 10);
  expect(noise[0]!.cosine).toBeCloseTo(0, 12);
  expect(noise[1]!.snr).toBeCloseTo(10 * Math.log10(125 / 0.25), 10);
  expect(noise[1]!.cosine).toBeCloseTo((9 + 18 + 100) / Math.sqrt((9 + 20.25 + 100) * 125), 12);
  expect(noise.slice(2).map(({ snr }) => snr)).toEqual([Infinity, -Infinity]);
});

test('tensors of another size are refused', () => {
  expect(() => new StageTally(NAMES).add('vision', 'vit.0', tensor(1), tensor(1, 2))).toThrow(RangeError);
});

test('the first stage below the limit, and the steepest fall within a phase', () => {
  const at = (phase: StageNoise['phase'], stage: string, snr: number): StageNoise => ({ phase, stage, snr, cosine: 1 });
  const noise = [
    at('vision', 'vit.0', 60),
    at('vision', 'vit.1', 50),
    at('prefill', 'lm.0', 20),
    at('prefill', 'lm.1', 5),
  ];
  expect(worstStages(noise, 30)).toMatchObject({
    firstDiverging: { stage: 'lm.0' },
    steepest: { stage: 'lm.1', drop: 15 },
  });
  expect(worstStages(noise, 1).firstDiverging).toBeUndefined();
  expect(worstStages([at('vision', 'vit.0', Infinity), at('vision', 'vit.1', 90)], 1)).toEqual({});
  expect(
    worstStages([at('vision', 'vit.0', 120), at('vision', 'vit.1', 40), at('vision', 'vit.2', 38)], 30).steepest,
  ).toMatchObject({ stage: 'vit.2', drop: 2 });
});

test('limits follow the precision', () => {
  const limits = (['fp32', 'fp16', 'int8', 'int4'] as const).map(
    (precision) => stageLimit(precision, testFields.program).snr,
  );
  expect(limits.map(Math.round)).toEqual([100, 40, 31, 10]);
});
