import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, test } from 'vitest';
import { tempFolders } from '../testing/bundle.ts';
import { readTrueMasks, trueMaskFiles } from './true_masks.ts';

const folder = tempFolders();
const [WIDTH, HEIGHT] = [6, 4];
const segment = (image: string) => ({ image, prompt: 'segment cat' });

/** A picture of one channel, 255 where `isWhite` says. */
async function write(file: string, isWhite: (i: number) => boolean, [width, height] = [WIDTH, HEIGHT]): Promise<void> {
  const data = Uint8Array.from({ length: width * height }, (_, i) => (isWhite(i) ? 255 : 0));
  await sharp(data, { raw: { width, height, channels: 1 } })
    .png()
    .toFile(file);
}

let root: string;
let image: string;
beforeEach(async () => {
  root = await folder();
  for (const name of ['images', 'masks']) await mkdir(join(root, name));
  image = join(root, 'images', 'a.png');
  await write(image, () => true);
});

describe('where true masks lie', () => {
  test('beside the folder of pictures, by the name of the picture', async () => {
    expect(await trueMaskFiles(segment(image), undefined)).toEqual([join(root, 'masks', 'a.png')]);
    expect(await trueMaskFiles(segment(join(root, 'b.jpg')), undefined)).toEqual([join(root, 'masks', 'b.png')]);
  });

  test('as their case names them, whatever the prompt', async () => {
    const sample = { image, prompt: 'find all' };
    expect(await trueMaskFiles(sample, undefined)).toBeUndefined();
    expect(await trueMaskFiles(sample, ['x.png', 'y.png'])).toEqual([
      join(root, 'masks', 'x.png'),
      join(root, 'masks', 'y.png'),
    ]);
  });

  test('nowhere without their folder', async () => {
    expect(await trueMaskFiles(segment(join(await folder(), 'images', 'a.png')), undefined)).toBeUndefined();
  });
});

test('masks are 1 where they are white', async () => {
  const files = ['first.png', 'second.png'].map((name) => join(root, 'masks', name));
  await write(files[0]!, (i) => i < 2);
  await write(files[1]!, (i) => i === 23);
  const { size, masks } = await readTrueMasks(image, files);
  expect(size).toEqual({ width: WIDTH, height: HEIGHT });
  expect(masks.map((mask) => [...mask].flatMap((there, i) => (there ? i : [])))).toEqual([[0, 1], [23]]);
});

describe('a mask that is none is named', () => {
  test.each([
    ['missing', undefined, /no such mask/],
    ['of another size', (file: string) => write(file, () => true, [4, 6]), /4 × 6 pixels, and its picture 6 × 4/],
    ['empty', (file: string) => write(file, () => false), /empty/],
  ])('%s', async (name, make, message) => {
    const file = join(root, 'masks', `${name}.png`);
    await make?.(file);
    await expect(readTrueMasks(image, [file])).rejects.toMatchObject({
      code: 'bad_mask',
      exitCode: 3,
      message: expect.stringMatching(message) as string,
      place: { file },
    });
  });

  test('no picture', async () => {
    const file = join(import.meta.dirname, 'true_masks.ts');
    await expect(readTrueMasks(image, [file])).rejects.toMatchObject({ code: 'not_an_image', place: { file } });
  });
});
