import { expect, it } from 'vitest';
import { tensorOf } from '../ir/tensor.ts';
import { boundsOfCase } from './angles.ts';
import type { VerifyCase } from './cases.ts';
import { tolerancesOf } from './tolerances.ts';

const row = tensorOf('i64', [1, 8], Array<number>(8).fill(2));
const CASE: VerifyCase = {
  name: 'last positions',
  inputIds: row,
  attentionMask: row,
  pixelValues: tensorOf('f32', [0, 3, 4, 4], []),
  imageTokenId: 9,
  suffixIds: tensorOf('i64', [1, 3], [3, 4, 5]),
  maxNewTokens: 4,
  logitsToKeep: 0,
  firstPosition: 8180,
};
const F32 = tolerancesOf('fp32', { layers: 3, hiddenSize: 64 });

it('rounds angles only where a candidate may', () => {
  expect(boundsOfCase(CASE, F32)).toBe(F32);
});

it('allows as much as angles of f32 are off at the last position', () => {
  const share = (8180 + 8 + 4) / 2 ** 24;
  const { logits, stage, imageFeatures, tieMargin } = boundsOfCase({ ...CASE, anglesInF32: true }, F32);
  expect(stage.atMost).toBe(share);
  expect(logits.find(({ metric }) => metric === 'relativeL2')!.atMost).toBe(share);
  expect(logits.find(({ metric }) => metric === 'maxAbs')).toMatchObject({ atMost: 1e-4, ofLargest: share });
  expect(logits.find(({ metric }) => metric === 'sameTop1')).toEqual(F32.logits.at(-1));
  // what has no positions stays
  expect([imageFeatures, tieMargin]).toEqual([F32.imageFeatures, F32.tieMargin]);
});

it('narrows no bound', () => {
  const asked = { ...CASE, anglesInF32: true };
  expect(boundsOfCase({ ...asked, firstPosition: 1 }, F32).stage).toEqual(F32.stage);
  const f16 = tolerancesOf('fp16', { layers: 3, hiddenSize: 64 });
  expect(boundsOfCase(asked, f16)).toEqual(f16);
});
