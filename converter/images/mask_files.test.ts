import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OutputError } from '../errors.ts';
import { maskFileNames, requireEmpty, writeMasks } from './mask_files.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-masks-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Of columns 1 and 2 of three. */
const placed = { y0: 0, x0: 1, y1: 2, x1: 3, mask: Uint8Array.of(1, 1, 0, 1) };
const { mask } = placed;

test('files are named by place and name, whatever a model says', () => {
  const names = ['blue square', '', '../../etc/passwd', 'ça va? "oui"\n', 'x'.repeat(200), '猫'];
  expect(maskFileNames([...names.map((name) => ({ name, mask })), { name: 'no mask' }])).toEqual([
    '00-blue-square.png',
    '01.png',
    '02-etc-passwd.png',
    '03-ça-va-oui.png',
    `04-${'x'.repeat(40)}.png`,
    '05-猫.png',
    undefined,
  ]);
  const many = maskFileNames(Array.from({ length: 101 }, () => ({ name: 'a', mask })));
  expect([many[3], many[100]]).toEqual(['003-a.png', '100-a.png']);
});

test('a mask is a gray PNG of the picture’s size', async () => {
  const written: unknown[] = [];
  await writeMasks(
    root,
    [
      { ...placed, name: 'box', mask: undefined },
      { ...placed, name: 'cat' },
    ],
    { width: 3, height: 2 },
    (...each) => written.push(each),
  );
  expect(written).toEqual([[1, '01-cat.png']]);
  const { data, info } = await sharp(join(root, '01-cat.png'))
    .toColourspace('b-w')
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect(info).toMatchObject({ width: 3, height: 2, channels: 1 });
  expect([...data]).toEqual([0, 255, 255, 0, 0, 255]);
});

test('a folder that holds files is refused, and one that cannot be written is told', async () => {
  await writeFile(join(root, 'other'), '');
  await expect(requireEmpty(root)).rejects.toMatchObject({ code: 'folder_not_empty' });
  await expect(requireEmpty(join(root, 'other'))).rejects.toMatchObject({ code: 'folder_not_empty' });
  await expect(requireEmpty(join(root, 'new'))).resolves.toBeUndefined();
  await expect(
    writeMasks(join(root, 'none', 'here'), [{ ...placed, name: '' }], { width: 3, height: 2 }, () => {}),
  ).rejects.toBeInstanceOf(OutputError);
});
