import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cocoRle } from './coco_rle.ts';

interface Case {
  readonly height: number;
  readonly width: number;
  readonly of: number;
  readonly below: number;
  readonly area: number;
  readonly counts: string;
}
const cases = JSON.parse(readFileSync('fixtures/masks/coco_rle.json', 'utf8')) as readonly Case[];

test.each(cases)('$height × $width, $area pixels: as pycocotools', ({ height, width, of, below, area, counts }) => {
  const mask = Uint8Array.from({ length: height * width }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return (7 * x * x + 13 * y + 5 * x * y) % of < below ? 1 : 0;
  });
  expect(mask.reduce((sum, there) => sum + there, 0)).toBe(area);
  expect(cocoRle(mask, { width, height })).toEqual({ size: [height, width], counts });
  const soft = Float32Array.from(mask, (there) => (there ? 0.5 : 0.49));
  expect(cocoRle(soft, { width, height }).counts).toBe(counts);
});

test('a mask of another size is refused', () => {
  for (const [width, height] of [
    [2, 2],
    [-2, -3],
    [1.5, 4],
  ] as const)
    expect(() => cocoRle(new Uint8Array(6), { width, height })).toThrow(RangeError);
});
