import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pasteMask } from '../../backends/client/answers/paste_mask.ts';
import { placeBox, type Convention } from '../../backends/client/answers/place_box.ts';
import { readTensor } from '../../ir/tensor.ts';
import { openSafetensors, type SafetensorsFile } from '../checkpoints/safetensors.ts';

/*
 * What big_vision's evaluation and the published demo make of decoded masks: fixtures/reference/pasted_masks.py.
 */

let goldens: SafetensorsFile;
beforeAll(async () => {
  goldens = await openSafetensors(join(import.meta.dirname, '../../fixtures/masks/golden.safetensors'));
});
afterAll(() => goldens.close());

const golden = async (name: string) => Array.from((await readTensor(goldens.tensors.get(name)!)).data, Number);

test.each<[Convention, string, number]>([
  ['bigvision', 'pasted_eval', 1],
  ['huggingface', 'pasted_demo', 255],
])('%s: every pixel of every mask is that of the original', async (convention, name, one) => {
  const [height, width] = (await golden('image_height_width')) as [number, number];
  const [masks, boxes, pasted] = await Promise.all([golden('masks'), golden('boxes_1023'), golden(name)]);
  const count = boxes.length / 4;
  expect(count).toBe(6);
  for (let i = 0; i < count; i++) {
    const [y0, x0, y1, x1] = boxes.slice(4 * i, 4 * i + 4) as [number, number, number, number];
    const box = placeBox({ y0, x0, y1, x1 }, { width, height }, convention);
    const mask = Float32Array.from(masks.slice(i * 4096, (i + 1) * 4096));
    const placed = Array.from(pasteMask(mask, box, { width, height }, convention), (value) => Math.round(value * one));
    expect(placed).toEqual(pasted.slice(i * width * height, (i + 1) * width * height));
  }
});

test('huggingface: boxes are those of the demo', async () => {
  const [height, width] = (await golden('image_height_width')) as [number, number];
  const [boxes, expected] = await Promise.all([golden('boxes_1023'), golden('pixels_demo')]);
  const placed = Array.from({ length: boxes.length / 4 }, (_, i) => {
    const [y0, x0, y1, x1] = boxes.slice(4 * i, 4 * i + 4) as [number, number, number, number];
    const place = placeBox({ y0, x0, y1, x1 }, { width, height }, 'huggingface');
    return [place.y0, place.x0, place.y1, place.x1];
  });
  expect(placed.flat()).toEqual(expected);
});
