import { expect, test } from 'vitest';
import { TaskTally } from './task_tally.ts';

const CAT = '<loc0000><loc0000><loc0512><loc0512> cat';
const WIDER = '<loc0000><loc0000><loc0512><loc1023> cat';

test('answers beside the original’s and beside what is right, and boxes beside both', () => {
  const tally = new TaskTally();
  tally.add(CAT, { reference: CAT, truth: WIDER });
  tally.add('two', { reference: 'one', truth: 'two' });
  tally.add('red', { reference: 'red' });
  const { sameText, judged, right, boxIou, boxIouTruth } = tally.metrics();
  expect(sameText).toBeCloseTo(2 / 3, 12);
  expect([right, judged]).toEqual([1, 2]);
  expect(boxIou).toBe(1);
  expect(boxIouTruth).toBeCloseTo(512 / 1023, 12);
});

test('masks beside both, over the cases that have true ones', () => {
  const tally = new TaskTally();
  tally.add(CAT, { reference: CAT, masks: { original: 1, truth: 0.5 } });
  tally.add(CAT, { reference: CAT, masks: { original: 0.5, truth: 0 } });
  tally.add('two', { reference: 'one' });
  expect(tally.metrics()).toMatchObject({ maskIou: 0.75, maskIouTruth: 0.25 });
});

test('an answer whose masks are known is not judged by its letters', () => {
  const tally = new TaskTally();
  tally.add(CAT, { reference: CAT, truth: WIDER, masks: { original: 1, truth: 0.5 } });
  expect(tally.metrics().judged).toBeUndefined();
  tally.add('two', { reference: 'one', truth: 'two' });
  expect(tally.metrics()).toMatchObject({ judged: 1, right: 1 });
});

test('what no case has is not told', () => {
  const tally = new TaskTally();
  tally.add('one', { reference: 'one' });
  expect(tally.metrics()).toEqual({ sameText: 1 });
});
