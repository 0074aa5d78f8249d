import { expect, test } from 'vitest';
import { featurePlaces } from './feature_places.ts';
import { padLeft } from './padded_rows.ts';

const IMAGE = 9;
const places = (rows: readonly (readonly number[])[], padTokenId = 0) =>
  featurePlaces(padLeft(rows, padTokenId), { imageTokenId: IMAGE, imageTokens: 3 });

test('a picture is a place, two behind each other are two', () => {
  expect(places([[IMAGE, IMAGE, IMAGE, 2]])).toEqual([{ start: 0, count: 3, image: 0, row: 0 }]);
  expect(places([[IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, 2]])).toEqual([
    { start: 0, count: 3, image: 0, row: 0 },
    { start: 3, count: 3, image: 1, row: 0 },
  ]);
});

test('a picture may be interrupted, also by the end of a row; padding is none', () => {
  expect(
    places(
      [
        [IMAGE, 2, IMAGE],
        [IMAGE, 2],
      ],
      IMAGE,
    ),
  ).toEqual([
    { start: 0, count: 1, image: 0, row: 0 },
    { start: 2, count: 1, image: 0, row: 1 },
    { start: 4, count: 1, image: 0, row: 2 },
  ]);
  expect(places([[2]])).toEqual([]);
});
