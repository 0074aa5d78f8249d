import { expect, test } from 'vitest';
import { judgesAmong } from './judges.ts';

const of = (pictures: string) => judgesAmong([...pictures].map((picture) => ({ picture })));
const judging = (pictures: string) => [...pictures].filter((_, i) => of(pictures).judges[i]).join('');

test.each([
  ['a', '', 1, 0],
  ['ab', 'b', 1, 1],
  ['abc', 'c', 2, 1],
  ['abcd', 'd', 3, 1],
  ['abcdefgh', 'dh', 6, 2],
])('%s: judged by "%s"', (pictures, judged, chose, count) => {
  expect(judging(pictures)).toBe(judged);
  expect(of(pictures).pictures).toEqual({ chose, judged: count });
});

test('copies of a picture are on its side, wherever they lie', () => {
  expect(judging('aabab')).toBe('bb');
  expect(judging('abcada')).toBe('d');
  expect(of('abcada').pictures).toEqual({ chose: 3, judged: 1 });
});

test('copies of one picture are one, which chooses nothing', () => {
  expect(judging('aaaaa')).toBe('');
  expect(of('aaaaa').pictures).toEqual({ chose: 1, judged: 0 });
});
