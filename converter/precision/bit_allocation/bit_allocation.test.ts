import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Program } from '../../../ir/graph.ts';
import { quantizableWeights } from '../../../ir/passes/index.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import { openCheckpoint } from '../../checkpoints/index.ts';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { paligemma } from '../../models/paligemma.ts';
import { weightRoles } from '../../models/paligemma/weight_roles.ts';
import { tempFolders } from '../../testing/bundle.ts';
import { deservesMoreBits } from './auto.ts';
import type { LayerPart } from '../weight_storage.ts';
import { chooseStorage } from './index.ts';
import { matchPatterns } from './allocation_file.ts';
import { nearNames } from './near_names.ts';

const folder = tempFolders();
let checkpoint: Checkpoint;
let program: Program;

beforeAll(async () => {
  checkpoint = await openCheckpoint('fixtures/shapes/hf');
  ({ program } = await paligemma.load(checkpoint));
});
afterAll(() => checkpoint.close());

const names = () => program.graphs.flatMap(quantizableWeights).map(({ name }) => name);

async function mixedFile(content: unknown): Promise<string> {
  const file = join(await folder(), 'mixed.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

async function choose(mixed: string, precision: Precision = 'int4') {
  const storageOf = await chooseStorage({ precision, mixed, program, roleOf: weightRoles(program) });
  return (name: string) => storageOf({ name, kind: 'linear', shape: [1, 1] });
}

describe('roles of PaliGemma’s matrices', () => {
  test('towers have layers of their own; what is no matrix has no role', () => {
    const roleOf = weightRoles(program);
    expect(roleOf('lm.embed')).toEqual({ part: 'embedding' });
    expect(roleOf('lm.head')).toEqual({ part: 'head' });
    expect(roleOf('lm.3.v')).toEqual({ part: 'value', tower: 'decoder', layer: 3, layers: 4 });
    expect(roleOf('lm.0.down')).toEqual({ part: 'down', tower: 'decoder', layer: 0, layers: 4 });
    expect(roleOf('vit.2.fc2.w')).toMatchObject({ part: 'down', tower: 'vision', layer: 2 });
    expect(roleOf('vit.0.v.w')).toMatchObject({ part: 'value', tower: 'vision' });
    expect(roleOf('proj.w')).toEqual({ part: 'projector' });
    expect(['rope.cos', 'lm.0.norm_attn_in', 'vit.pos'].map(roleOf)).toEqual([undefined, undefined, undefined]);
  });

  test('every matrix of the model has one', () => {
    const roleOf = weightRoles(program);
    expect(names().filter((name) => !roleOf(name))).toEqual([]);
  });
});

describe('auto', () => {
  const chosen = (part: LayerPart, tower: 'vision' | 'decoder', layers: number) =>
    Array.from({ length: layers }, (_, layer) => layer).filter((layer) =>
      deservesMoreBits({ part, tower, layer, layers }),
    );

  test.each([
    [1, [0]],
    [4, [0]],
    [18, [0, 1]],
    [26, [0, 1, 2]],
  ] as const)('of %d layers of the decoder, the MLPs of the first eighth', (layers, expected) => {
    expect(chosen('down', 'decoder', layers)).toEqual(expected);
    expect(chosen('gate', 'decoder', layers)).toEqual(expected);
  });

  test('all of the decoder’s attention, and nothing of the image tower', () => {
    expect(chosen('key', 'decoder', 3)).toEqual([0, 1, 2]);
    expect(chosen('output', 'decoder', 3)).toEqual([0, 1, 2]);
    expect(chosen('value', 'vision', 3)).toEqual([]);
    expect(chosen('down', 'vision', 3)).toEqual([]);
  });

  test('head and projector get 8 bits; the table and what is unknown stay', () => {
    expect([
      deservesMoreBits({ part: 'head' }),
      deservesMoreBits({ part: 'projector' }),
      deservesMoreBits({ part: 'embedding' }),
      deservesMoreBits(undefined),
    ]).toEqual([true, true, false, false]);
  });

  test('a table that is stored once with the head has its bits', async () => {
    const of = (sharesTable: boolean) =>
      chooseStorage({
        precision: 'int4',
        program,
        roleOf: weightRoles(program),
        backend: { name: 'toy', refusal: () => undefined, sharesTable },
      });
    const table = program.graphs.flatMap(quantizableWeights).find(({ name }) => name === 'lm.embed')!;
    expect([(await of(true))(table), (await of(false))(table)]).toEqual(['int8', 'int4']);
    const untied = await openCheckpoint('fixtures/pg2-untied/hf');
    try {
      const other = (await paligemma.load(untied)).program;
      const apart = await chooseStorage({
        precision: 'int4',
        program: other,
        roleOf: weightRoles(other),
        backend: { name: 'toy', refusal: () => undefined, sharesTable: true },
      });
      expect(apart({ name: 'lm.embed', kind: 'embedding', shape: [1, 1] })).toBe('int4');
    } finally {
      await untied.close();
    }
  });

  test('it is about 4 bits: int8 stays as it is', async () => {
    expect(['lm.head', 'lm.1.up', 'lm.0.down'].map(await choose('auto'))).toEqual(['int8', 'int4', 'int8']);
    expect(['lm.head', 'lm.1.q'].map(await choose('auto', 'int8'))).toEqual(['int8', 'int8']);
    expect(['lm.head', 'lm.1.q'].map(await choose('none'))).toEqual(['int4', 'int4']);
    expect(['lm.head', 'lm.1.up'].map(await choose('auto', 'nf4'))).toEqual(['int8', 'nf4']);
    expect(['lm.head', 'lm.1.q'].map(await choose('none', 'nf4'))).toEqual(['nf4', 'nf4']);
  });
});

describe('a file of patterns', () => {
  test('* is a part, ** anything, and the last match counts', async () => {
    const of = await choose(await mixedFile({ 'vit.**': 'fp16', 'lm.*.down': 'int8', 'lm.2.*': 'fp32' }));
    expect(['vit.0.q.w', 'lm.1.down', 'lm.2.down', 'lm.2.q', 'lm.1.q', 'lm.head'].map(of)).toEqual([
      'fp16',
      'int8',
      'fp32',
      'fp32',
      'int4',
      'int4',
    ]);
  });

  test('signs of regular expressions are letters', () => {
    expect(() => matchPatterns(new Map([['lm.h.ad', 'int8']]), ['lm.head'], 'f')).toThrow(
      '"lm.h.ad" matches no matrix',
    );
    expect(() => matchPatterns(new Map([['lm.(head|embed)', 'int8']]), ['lm.head'], 'f')).toThrow('matches no matrix');
    expect([...matchPatterns(new Map([['a(b', 'int8']]), ['a(b', 'ab'], 'f').keys()]).toEqual(['a(b']);
  });

  test('a pattern that matches nothing is an error that lists near names', async () => {
    const file = await mixedFile({ 'lm.haed': 'int8' });
    await expect(choose(file)).rejects.toMatchObject({
      code: 'unmatched_pattern',
      exitCode: 2,
      place: { file, hint: expect.stringContaining('lm.head') },
    });
    // norms are no matrices
    await expect(choose(await mixedFile({ 'lm.*.norm_attn_in': 'int8' }))).rejects.toMatchObject({
      code: 'unmatched_pattern',
    });
  });

  test.each([
    ['{', 'cannot read'],
    [[1], 'expected record'],
    [{ 'lm.head': 'int2' }, 'lm.head: '],
    [{ '': 'int8' }, ''],
  ])('%j is refused', async (content, message) => {
    const file = await mixedFile(content);
    await expect(choose(file)).rejects.toMatchObject({
      code: 'bad_mixed_file',
      exitCode: 2,
      place: { file },
      message: expect.stringContaining(message),
    });
  });

  test('a file that is not there, and a precision without codes', async () => {
    await expect(choose('/nowhere.json')).rejects.toMatchObject({ code: 'bad_mixed_file' });
    await expect(choose('/nowhere.json', 'fp16')).rejects.toMatchObject({ code: 'mixed_without_codes' });
    await expect(choose('auto', 'fp16')).resolves.toBeDefined();
  });
});

test('near names are those of the fewest edits', () => {
  expect(nearNames('lm.0.dwon', ['lm.0.up', 'lm.0.down', 'lm.10.down', 'vit.0.q.w'], 2)).toEqual([
    'lm.0.down',
    'lm.10.down',
  ]);
  expect(nearNames('x', [])).toEqual([]);
});

describe('a file that names a format which the backend has not', () => {
  const packed = { reason: 'no 4-bit weights here', instead: 'int8' };
  const backend = {
    name: 'toy',
    refusal: (precision: string, target?: string) => (precision === 'nf4' && target === 'std' ? packed : undefined),
  };
  const asked = (content: object, target: string) =>
    mixedFile(content).then((mixed) =>
      chooseStorage({ precision: 'int8', mixed, program, roleOf: weightRoles(program), backend, target }),
    );

  test('is refused by its pattern, before any work', async () => {
    await expect(asked({ 'lm.*.down': 'nf4' }, 'std')).rejects.toMatchObject({
      code: 'unsupported_precision',
      message: '"lm.*.down": toy has no nf4 for std: no 4-bit weights here',
      place: { file: expect.stringContaining('mixed.json'), hint: 'choose int8' },
    });
  });

  test('is none where the target has it, and floats are formats of none', async () => {
    const inPacked = await asked({ 'lm.*.down': 'nf4' }, 'packed');
    const floats = await asked({ 'lm.*.down': 'fp16' }, 'std');
    const down = program.graphs.flatMap(quantizableWeights).find(({ name }) => name.endsWith('.down'));
    expect([inPacked(down!), floats(down!)]).toEqual(['nf4', 'fp16']);
  });
});
