import { expect, test } from 'vitest';
import type { HeldOutRows } from '../../ir/observe/held_out.ts';
import { quantizeMatrix } from '../../ir/quantize/quantize_matrix.ts';
import { usualScheme } from '../../ir/quantize/scheme.ts';
import { readTensor, tensorData } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { CodeChoices, type Way } from './code_choices.ts';

const COLUMNS = 96;
const SCHEME = usualScheme('int4');
const data = tensorData(randomTensor('f32', [16, COLUMNS], 1));
const plain = quantizeMatrix(data, SCHEME);
const columnsLike = (one: number, column: number, rest: number) =>
  Float32Array.from({ length: COLUMNS }, (_, k) => (k === column ? one : rest));
/** Codes for inputs in which one column is all, and such inputs. */
const forColumn = (column: number) => quantizeMatrix(data, SCHEME, { importance: columnsLike(1000, column, 0.001) });
const only = (column: number): HeldOutRows => ({ columns: COLUMNS, rows: [columnsLike(1, column, 0)] });
const asked = (way: Way, column: number, judge: number) => ({
  data,
  format: SCHEME.format,
  plain,
  ways: [{ way, matrix: forColumn(column) }],
  judges: [only(judge)],
});

test('knows for which matrices data won, and by which way, though no code was read', async () => {
  const choices = new CodeChoices();
  const codes = choices.choose('z', asked('weighted', 3, 3));
  choices.choose('a', asked('gptq', 5, 5));
  choices.choose('lost', asked('gptq', 5, 40));
  const steps: (readonly [number, number])[] = [];
  const decided = { matrices: 3, weighted: ['z'], gptq: ['a'] };
  expect(await choices.decide((...step) => steps.push(step))).toEqual(decided);
  expect(steps).toEqual([1, 2, 3].map((done) => [done, 3]));
  expect(await readTensor(codes.q)).toEqual(await readTensor(forColumn(3).q));
  // as one that is gone on with, in which others were read before
  expect(await choices.decide(() => {})).toEqual(decided);
});

test('a matrix of which data has no say is none that it could choose', async () => {
  const choices = new CodeChoices();
  expect(choices.choose('unjudged', { ...asked('gptq', 1, 1), judges: [] })).toBe(plain);
  expect(choices.choose('without ways', { ...asked('gptq', 1, 1), ways: [] })).toBe(plain);
  expect(await choices.decide(() => {})).toEqual({ matrices: 0, weighted: [], gptq: [] });
});

test('a name that two graphs ask for counts once', async () => {
  const choices = new CodeChoices();
  choices.choose('tied', asked('weighted', 3, 40));
  choices.choose('tied', asked('weighted', 3, 3));
  expect(await choices.decide(() => {})).toEqual({ matrices: 1, weighted: ['tied'], gptq: [] });
});
