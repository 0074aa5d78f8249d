import { expect, it } from 'vitest';
import { firstBehindHeld, type StageDifference } from './divergence.ts';

const stage = (phase: StageDifference['phase'], name: string, passed: boolean): StageDifference => ({
  phase,
  stage: name,
  relativeL2: passed ? 0 : 1,
  maxAbs: 0,
  passed,
});

it('where stages are looked for, what agrees proves what lies before it in its phase', () => {
  const found = firstBehindHeld([
    stage('vision', 'vit.0', false),
    stage('vision', 'vit.1', true),
    stage('prefill', 'lm.0', true),
    stage('prefill', 'lm.1', false),
    stage('prefill', 'lm.2', false),
    stage('suffix', 'lm.0', true),
  ]);
  expect(found).toMatchObject({ phase: 'prefill', stage: 'lm.1' });
  expect(firstBehindHeld([stage('vision', 'vit.0', false), stage('prefill', 'lm.0', true)])).toMatchObject({
    phase: 'vision',
  });
  expect(firstBehindHeld([stage('vision', 'vit.0', true)])).toBeUndefined();
});
