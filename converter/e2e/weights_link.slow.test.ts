import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tempFolders } from '../testing/bundle.ts';
import { exchanged, flip, swapNibbles, swapRows, turned } from '../bench/faults/edits.ts';
import { edited, placeOf, placesIn, type Edit } from '../bench/faults/places.ts';
import { resealed, weightsReport } from '../bench/faults/weights_alone.ts';
import { readManifest } from '../bundle/manifest.ts';
import { convert } from '../compile/convert.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';

/*
 * Faults in the files of bundles, whose hashes are made right again. Where a tensor lies is asked of `pgconv inspect`,
 * which shares nothing with the reader that has to find them.
 */

const CHECKPOINT = fileURLToPath(new URL('../../fixtures/pg2-tiny/hf', import.meta.url));
const tempFolder = tempFolders();

async function bundle(options: Pick<ConvertOptions, 'backend' | 'precision'> & Partial<ConvertOptions>) {
  const out = join(await tempFolder(), 'bundle');
  await convert({ checkpoint: CHECKPOINT, out, verify: false, ...options }, silentReporter);
  return out;
}

interface Fault {
  readonly name: string;
  readonly tensor: string;
  readonly edit: Edit;
  /** The weight, row and element that must be named. */
  readonly at: readonly [weight: string, row: number, element: number];
}

interface Case {
  readonly options: Pick<ConvertOptions, 'backend' | 'precision'> & Partial<ConvertOptions>;
  readonly faults: readonly Fault[];
}

const CASES: readonly Case[] = [
  {
    options: { backend: 'onnx', precision: 'fp32' },
    faults: [
      { name: 'one ulp', tensor: 'lm.0.q.transposed', edit: flip(4 * (5 * 128 + 7)), at: ['lm.0.q', 7, 5] },
      { name: 'the sign of an angle', tensor: 'rope.sin', edit: flip(4 * 16 * 9 + 3, 0x80), at: ['rope.sin', 9, 0] },
      { name: 'turned', tensor: 'vit.0.q.w.transposed', edit: turned(48, 48, 4), at: ['vit.0.q.w', 0, 1] },
      { name: 'a row of the table', tensor: 'lm.embed', edit: swapRows(72 * 4, 100), at: ['lm.embed', 100, 0] },
    ],
  },
  {
    options: { backend: 'onnx', precision: 'fp16' },
    faults: [
      { name: 'one ulp', tensor: 'vit.1.fc1.w.transposed', edit: flip(2 * (3 * 100 + 99)), at: ['vit.1.fc1.w', 99, 3] },
      { name: 'a row swapped', tensor: 'lm.embed', edit: swapRows(72 * 2, 510), at: ['lm.embed', 510, 0] },
      { name: 'a pixel', tensor: 'vit.patch.w', edit: flip(2 * (588 * 2 + 587)), at: ['vit.patch.w', 2, 587] },
    ],
  },
  {
    options: { backend: 'onnx', precision: 'int8' },
    faults: [
      // rows of halves: the low ones are odd
      { name: 'a low half', tensor: 'lm.0.q.codes', edit: flip(48 * (2 * 3 + 1)), at: ['lm.0.q.codes', 3, 0] },
      { name: 'a high half', tensor: 'lm.0.q.codes', edit: flip(48 * (2 * 3) + 1, 0x10), at: ['lm.0.q.codes', 3, 3] },
      { name: 'a scale of high halves', tensor: 'lm.0.q.scales', edit: flip(4 * 3 * 4), at: ['lm.0.q.scales', 2, 0] },
      { name: 'rows of the table', tensor: 'lm.embed.codes', edit: swapRows(96, 8), at: ['lm.embed.codes', 8, 0] },
      { name: 'a zero point', tensor: 'lm.head.codes.zeros', edit: flip(2 * 11), at: ['lm.head.codes', 5, 0] },
    ],
  },
  {
    options: { backend: 'onnx', precision: 'int4' },
    faults: [
      { name: 'nibbles', tensor: 'lm.1.gate.codes', edit: swapNibbles(48 * 5), at: ['lm.1.gate.codes', 5, 0] },
      { name: 'a scale', tensor: 'lm.1.gate.scales', edit: flip(4 * (3 * 7 + 2)), at: ['lm.1.gate.scales', 7, 2] },
      { name: 'a row', tensor: 'lm.1.gate.codes', edit: swapRows(48, 20), at: ['lm.1.gate.codes', 20, 0] },
    ],
  },
  {
    options: { backend: 'onnx', precision: 'int4', quantizedOps: 'qdq' },
    faults: [
      { name: 'nibbles', tensor: 'lm.1.up.codes', edit: swapNibbles(48 * 6 + 1), at: ['lm.1.up.codes', 6, 2] },
      { name: 'a scale', tensor: 'lm.1.up.scales', edit: flip(4 * (3 * 9 + 1)), at: ['lm.1.up.scales', 9, 1] },
    ],
  },
  {
    options: { backend: 'tfjs', precision: 'fp16' },
    faults: [
      { name: 'one ulp', tensor: 'lm.0.q.f16.widened.transposed', edit: flip(2 * 128), at: ['lm.0.q', 0, 1] },
      {
        name: 'a row of head and table',
        tensor: 'lm.head.f16.widened',
        edit: swapRows(144, 3),
        at: ['lm.embed', 3, 0],
      },
      {
        name: 'a pixel',
        tensor: 'vit.patch.w.f16.widened.transposed',
        edit: flip(2 * 48),
        at: ['vit.patch.w', 0, 196],
      },
    ],
  },
  {
    options: { backend: 'tfjs', precision: 'int8' },
    faults: [
      { name: 'a code', tensor: 'lm.0.q.codes', edit: flip(128 * 4 + 9), at: ['lm.0.q.codes', 9, 4] },
      { name: 'a scale', tensor: 'lm.0.q.scales', edit: flip(4 * 9), at: ['lm.0.q.scales', 9, 0] },
    ],
  },
  {
    options: { backend: 'tfjs', precision: 'int4' },
    faults: [
      { name: 'nibbles', tensor: 'lm.0.q.codes', edit: swapNibbles(64 * 2), at: ['lm.0.q.codes', 2, 0] },
      { name: 'a scale', tensor: 'lm.0.q.scales', edit: flip(2 * 3), at: ['lm.0.q.scales', 1, 1] },
      { name: 'a zero point', tensor: 'lm.0.q.zeros', edit: flip(2, 0x10), at: ['lm.0.q.zeros', 2, 1] },
    ],
  },
  {
    options: { backend: 'tfjs', precision: 'nf4' },
    faults: [{ name: 'a code', tensor: 'lm.2.k.codes', edit: flip(64 + 1, 0x10), at: ['lm.2.k.codes', 1, 3] }],
  },
  {
    options: { backend: 'wgsl', precision: 'fp32' },
    faults: [
      {
        name: 'one ulp behind the first weight',
        tensor: 'lm.0.q+lm.0.k+lm.0.v',
        edit: flip(288 * 130),
        at: ['lm.0.k', 2, 0],
      },
      { name: 'an angle', tensor: 'rope.cos', edit: flip(4 * (32 * 9 + 16)), at: ['rope.sin', 9, 0] },
    ],
  },
  {
    options: { backend: 'wgsl', precision: 'int4' },
    faults: [
      {
        name: 'nibbles',
        tensor: 'lm.1.gate.codes+lm.1.up.codes',
        edit: swapNibbles(48 * 145),
        at: ['lm.1.up.codes', 1, 0],
      },
      { name: 'a scale', tensor: 'lm.1.down.codes', edit: flip(80 * 72 + 20), at: ['lm.1.down.scales', 1, 0] },
      { name: 'a zero point', tensor: 'lm.1.down.codes', edit: flip(80 * 72 + 20 + 2), at: ['lm.1.down.zeros', 1, 0] },
      { name: 'a row of the table', tensor: 'lm.embed.codes', edit: swapRows(96, 7), at: ['lm.embed.codes', 7, 0] },
    ],
  },
  {
    options: { backend: 'wgsl', precision: 'nf4' },
    faults: [{ name: 'a row', tensor: 'lm.1.down.codes', edit: swapRows(80, 8), at: ['lm.1.down.codes', 8, 0] }],
  },
];

test.each(CASES)('$options.backend $options.precision: each planted fault is named', async ({ options, faults }) => {
  const dir = await bundle(options);
  const sound = await weightsReport(dir);
  expect(sound).toMatchObject({ passed: true, differences: [], problems: [], unknown: [] });
  expect(sound.elements).toBeGreaterThan(500_000);
  for (const { name, tensor, edit, at } of faults) {
    const undo = await edited(dir, [tensor], edit);
    const { passed, differences } = await weightsReport(dir);
    expect(passed, name).toBe(false);
    expect(differences, name).toContainEqual(expect.objectContaining({ tensor, row: at[1], element: at[2] }));
    expect(
      differences.every((each) => each.tensor === tensor),
      name,
    ).toBe(true);
    expect(differences[0]!.weight.replace(/\.f16$/, ''), name).toBe(at[0]);
    undo();
  }
  expect((await weightsReport(dir)).passed).toBe(true);
});

test.each(['onnx', 'tfjs', 'wgsl'])(
  '%s: a small matrix in f16 among codes is found, and a fault in it',
  async (backend) => {
    const mixed = join(await tempFolder(), 'mixed.json');
    writeFileSync(mixed, JSON.stringify({ 'lm.1.k': 'fp16' }));
    const dir = await bundle({ backend, precision: 'int8', mixed });
    expect(await weightsReport(dir)).toMatchObject({ passed: true, differences: [], problems: [], unknown: [] });
    const { name } = (await placesIn(dir)).find((each) => each.name.startsWith('lm.1.k.f16'))!;
    await edited(dir, [name], flip(2 * 5));
    expect((await weightsReport(dir)).differences).toMatchObject([{ tensor: name }]);
  },
);

test('a difference says what is found and expected, to the bit, and where in which file', async () => {
  const dir = await bundle({ backend: 'onnx', precision: 'fp16' });
  const { file, offset } = placeOf(await placesIn(dir), 'lm.0.k.transposed');
  const original = readFileSync(join(dir, file)).readUInt16LE(offset + 2 * (64 * 3 + 1));
  await edited(dir, ['lm.0.k.transposed'], flip(2 * (64 * 3 + 1)));
  const { differences } = await weightsReport(dir);
  const bits = (value: number) => expect.stringContaining(`(0x${value.toString(16).padStart(4, '0')})`);
  expect(differences).toEqual([
    {
      tensor: 'lm.0.k.transposed',
      weight: 'lm.0.k',
      part: 'values',
      file,
      offset: offset + 2 * (64 * 3 + 1),
      row: 1,
      element: 3,
      found: bits(original ^ 1),
      expected: bits(original),
    },
  ]);
});

test('bytes that a head and a table share are compared as both read them', async () => {
  const dir = await bundle({ backend: 'tfjs', precision: 'fp16' });
  await edited(dir, ['lm.head.f16.widened'], swapRows(144, 3));
  const { differences } = await weightsReport(dir);
  expect(differences.map(({ weight, row }) => [weight, row])).toEqual([
    ['lm.embed', 3],
    ['lm.head', 3],
  ]);
});

test('two layers exchanged in the files are both named', async () => {
  const dir = await bundle({ backend: 'onnx', precision: 'fp16' });
  await edited(dir, ['lm.1.k.transposed', 'lm.2.k.transposed'], exchanged);
  const { differences } = await weightsReport(dir);
  expect(differences.map(({ tensor }) => tensor)).toEqual(['lm.1.k.transposed', 'lm.2.k.transposed']);
});

test('verify tells links apart: one ulp leaves the program within its bounds, and the weights differ', async () => {
  const dir = await bundle({ backend: 'onnx', precision: 'fp16' });
  const { verification } = await readManifest(dir);
  expect(verification!.weights).toEqual({ verdict: 'not tried', reason: '--no-verify' });
  await edited(dir, ['lm.0.q.transposed'], flip(0));
  await resealed(dir);
  const { passed, links, checks } = await verifyBundle({ bundle: dir }, silentReporter);
  expect(checks.every((check) => check.passed)).toBe(true);
  expect(links).toMatchObject({
    weights: { verdict: 'failed' },
    program: { verdict: 'held' },
    original: { verdict: 'not tried', reason: 'no recording of its numbers was given (pgconv record)' },
  });
  expect(passed).toBe(false);
});

test('a recording shows the link to the original, and says nothing of weights', async () => {
  const dir = await bundle({ backend: 'onnx', precision: 'fp32' });
  const against = fileURLToPath(new URL('../../fixtures/pg2-tiny/golden.safetensors', import.meta.url));
  const { links, passed } = await verifyBundle({ bundle: dir, against }, silentReporter);
  expect(passed).toBe(true);
  expect(links).toMatchObject({
    weights: { verdict: 'not tried', reason: 'a recording holds no weights' },
    program: { verdict: 'not tried' },
    original: { verdict: 'held' },
  });
});

test('manifest and README say what the check found, in the same words', async () => {
  const out = join(await tempFolder(), 'bundle');
  const { manifest, verification } = await convert(
    { checkpoint: CHECKPOINT, out, backend: 'onnx', precision: 'fp32' },
    silentReporter,
  );
  expect(await readManifest(out)).toEqual(manifest);
  expect(manifest.verification).toEqual(verification!.links);
  const readme = readFileSync(join(out, 'README.md'), 'utf8');
  const { tensors, elements } = manifest.verification!.weights;
  expect(tensors).toBeGreaterThan(80);
  expect(readme).toContain(
    `weights: held, ${tensors} stored tensors, ${elements} elements against the checkpoint's own`,
  );
  expect(readme).toContain('original: not tried: no recording of its numbers was given (pgconv record)');
});
