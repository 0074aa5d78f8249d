import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { packedStrides, type StoredField } from '../../backends/stored_field.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import type { Program } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { quantizeWeights, runPassesOnProgram } from '../../ir/passes/index.ts';
import { quantizeMatrix } from '../../ir/quantize/quantize_matrix.ts';
import { INT4 } from '../../ir/quantize/scheme.ts';
import { bytesData, readBytes, readTensor, type TensorData } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import { verifyWeights } from './verify_weights.ts';

const dir = mkdtempSync(join(tmpdir(), 'pgconv-weights-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Numbers that follow from their place, none like its neighbours. */
function numbers(shape: readonly number[]): TensorData {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < values.length; i++) values[i] = ((i * 7919) % 65521) / 65521 - 0.5;
  return bytesData('f32', shape, new Uint8Array(values.buffer));
}

/** x · Wᵀ + b. */
function program(weight: TensorData, bias?: TensorData): Program {
  const b = new GraphBuilder('decoder');
  const x = b.input('x', { dtype: 'f32', shape: [1, weight.shape[1]!] });
  const w = b.weight('w', weight);
  b.output('y', b.op(ops.linear, bias ? [x, w, b.weight('b', bias)] : [x, w], {}));
  return { graphs: [b.build()], metadata: {} as Program['metadata'] };
}

function field(given: Partial<StoredField> & Pick<StoredField, 'dtype' | 'shape' | 'file'>): StoredField {
  const bits = { f32: 32, f16: 16, bf16: 16, u8: 8, i8: 8, u4: 4, i4: 4 }[given.dtype];
  return {
    tensor: 'w',
    graph: 'decoder',
    claim: { by: 'weight', names: ['w'] },
    firstBit: 0,
    strides: packedStrides(given.shape, bits),
    ...given,
  };
}

describe('floats', () => {
  // more than is compared at once: a fault behind it must be found at its own row
  const [rows, columns] = [2200, 2048] as const;
  const weight = numbers([rows, columns]);

  test.each(['as it is', 'turned'])('a matrix of %s is compared to its end', async (kind) => {
    const bytes = await readBytes(weight);
    const isTurned = kind === 'turned';
    const stored = new Uint32Array(rows * columns);
    const own = new Uint32Array(bytes.buffer);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        stored[isTurned ? column * rows + row : row * columns + column] = own[row * columns + column]!;
    const strides = isTurned ? [32, 32 * rows] : [32 * columns, 32];
    const fields = [field({ dtype: 'f32', shape: [rows, columns], file: 'm.bin', strides })];
    writeFileSync(join(dir, 'm.bin'), new Uint8Array(stored.buffer));
    const sound = await verifyWeights({ dir, fields, program: program(weight) });
    expect(sound).toMatchObject({ passed: true, tensors: 1, elements: rows * columns, bytes: 4 * rows * columns });
    const [row, column] = [rows - 1, columns - 2];
    const at = isTurned ? column * rows + row : row * columns + column;
    stored[at]! ^= 1;
    writeFileSync(join(dir, 'm.bin'), new Uint8Array(stored.buffer));
    const { differences, passed } = await verifyWeights({ dir, fields, program: program(weight) });
    expect(passed).toBe(false);
    expect(differences).toMatchObject([{ tensor: 'w', weight: 'w', row, element: column, offset: 4 * at }]);
  });

  test('a narrower float than the precision has is no cast of a weight', async () => {
    const small = numbers([4, 6]);
    writeFileSync(join(dir, 'h.bin'), await readBytes(castData(small, 'f16')));
    const fields = [field({ dtype: 'f16', shape: [4, 6], file: 'h.bin' })];
    const narrow = await verifyWeights({ dir, fields, program: program(small), narrow: 'f16' });
    expect(narrow.passed).toBe(true);
    const { passed, problems } = await verifyWeights({ dir, fields, program: program(small) });
    expect(passed).toBe(false);
    expect(problems[0]).toBe('"w" (h.bin, offset 0) is f16, and w is f32 in this precision');
  });

  test('a file that ends within a weight is an error', async () => {
    writeFileSync(join(dir, 'cut.bin'), new Uint8Array(90));
    const fields = [field({ dtype: 'f32', shape: [4, 6], file: 'cut.bin' })];
    await expect(verifyWeights({ dir, fields, program: program(numbers([4, 6])) })).rejects.toMatchObject({
      code: 'bad_bundle',
    });
  });
});

describe('neither side has a rest', () => {
  const [weight, bias] = [numbers([4, 6]), numbers([4])];
  const stored = async () => {
    writeFileSync(join(dir, 'rest.bin'), Buffer.concat([await readBytes(weight), await readBytes(bias)]));
    const b = { tensor: 'b', claim: { by: 'weight', names: ['b'] }, firstBit: 8 * 96 } as const;
    return [
      field({ dtype: 'f32', shape: [4, 6], file: 'rest.bin' }),
      field({ dtype: 'f32', shape: [4], file: 'rest.bin', ...b }),
    ] as const;
  };

  test('a weight that is stored nowhere', async () => {
    const [w] = await stored();
    const { passed, problems } = await verifyWeights({ dir, fields: [w], program: program(weight, bias) });
    expect(passed).toBe(false);
    expect(problems).toEqual(['b of decoder is stored nowhere']);
  });

  test('rows that are stored nowhere', async () => {
    const [w, b] = await stored();
    const fields = [{ ...w, shape: [3, 6] }, b];
    const { problems } = await verifyWeights({ dir, fields, program: program(weight, bias) });
    expect(problems).toEqual(['w of decoder is stored nowhere from row 3 of 4 on']);
  });

  test('a tensor that is no weight of the program', async () => {
    const { passed, problems } = await verifyWeights({ dir, fields: await stored(), program: program(weight) });
    expect(passed).toBe(false);
    expect(problems).toEqual(['"b" (rest.bin, offset 96) is no weight of the program']);
  });

  test('shards are rows in the order of their numbers, whatever the order of files', async () => {
    const [w, b] = await stored();
    const shard = (number: number, row: number, rows: number) => ({
      ...w,
      tensor: `w.${number}`,
      claim: { by: 'weight', names: [`w.${number}`] } as const,
      shape: [rows, 6],
      firstBit: 8 * 24 * row,
    });
    const fields = [shard(1, 3, 1), b, shard(0, 0, 3)];
    expect((await verifyWeights({ dir, fields, program: program(weight, bias) })).passed).toBe(true);
    const exchanged = [shard(0, 3, 1), b, shard(1, 0, 3)];
    const { differences } = await verifyWeights({ dir, fields: exchanged, program: program(weight, bias) });
    expect(differences.map(({ tensor }) => tensor)).toEqual(['w.0', 'w.1']);
  });

  test('rows without a number are those behind all shards, wherever they stand', async () => {
    const [w, b] = await stored();
    const rows = (tensor: string, row: number, count: number) => ({
      ...w,
      tensor,
      claim: { by: 'weight', names: [tensor] } as const,
      shape: [count, 6],
      firstBit: 8 * 24 * row,
    });
    const [first, second, rest] = [rows('w.0', 0, 2), rows('w.1', 2, 1), rows('w', 3, 1)];
    for (const fields of [
      [first, rest, second, b],
      [rest, b, second, first],
    ])
      expect(await verifyWeights({ dir, fields, program: program(weight, bias) })).toMatchObject({
        passed: true,
        problems: [],
      });
    const wrong = [first, rows('w', 2, 1), rows('w.1', 3, 1), b];
    const { differences } = await verifyWeights({ dir, fields: wrong, program: program(weight, bias) });
    expect(differences.map(({ tensor, row }) => [tensor, row])).toEqual([
      ['w.1', 2],
      ['w', 3],
    ]);
  });

  test('a shard that is read in two ways has the same rows in both', async () => {
    const [w, b] = await stored();
    const shard = (number: number, row: number, rows: number, tensor = `w.${number}`) => ({
      ...w,
      tensor,
      claim: { by: 'weight', names: [`w.${number}`] } as const,
      shape: [rows, 6],
      firstBit: 8 * 24 * row,
    });
    const twice = [shard(0, 0, 3), shard(0, 0, 3, 'again'), shard(1, 3, 1), shard(1, 3, 1, 'again'), b];
    expect(await verifyWeights({ dir, fields: twice, program: program(weight, bias) })).toMatchObject({
      passed: true,
      elements: 2 * 24 + 4,
    });
    const missing = [shard(0, 0, 3), shard(0, 0, 3, 'again'), b];
    const { problems } = await verifyWeights({ dir, fields: missing, program: program(weight, bias) });
    expect(problems).toEqual(['w of decoder is stored nowhere from row 3 of 4 on']);
  });
});

describe('codes', () => {
  const weight = numbers([6, 64]);
  const coded = runPassesOnProgram(program(weight), [
    quantizeWeights({ schemeOf: () => INT4, quantize: (data, scheme) => quantizeMatrix(data, scheme) }),
  ]);
  const { q, scales, zeros } = quantizeMatrix(weight, INT4);

  /** Codes, scales and zero points one after the other. */
  const stored = async () => {
    const parts = [await readBytes(q), await readBytes(scales), await readBytes(zeros!)] as const;
    writeFileSync(join(dir, 'q.bin'), Buffer.concat(parts));
    const beside = (operand: string) => ({ claim: { by: 'weight', names: ['w.codes'], operand } as const });
    const blocks = scales.shape[1]!;
    return [
      field({ dtype: 'u4', shape: [6, 64], file: 'q.bin', claim: { by: 'weight', names: ['w.codes'] } }),
      field({ dtype: 'f32', shape: [6, blocks], file: 'q.bin', firstBit: 8 * 192, ...beside('scales') }),
      field({ dtype: 'u4', shape: [6, blocks], file: 'q.bin', firstBit: 8 * (192 + 24 * blocks), ...beside('zeros') }),
    ] as const;
  };

  test('are made again, with their scales and zero points', async () => {
    const report = await verifyWeights({ dir, fields: await stored(), program: coded });
    expect(report).toMatchObject({ passed: true, differences: [], problems: [], unknown: [] });
  });

  test('zero points that are left out of a bundle fail', async () => {
    const { passed, problems } = await verifyWeights({ dir, fields: (await stored()).slice(0, 2), program: coded });
    expect(passed).toBe(false);
    expect(problems).toEqual(['w.zeros of decoder is stored nowhere']);
  });

  test('that nobody can make again are told by the name of their weight, and fail nothing', async () => {
    const report = await verifyWeights({
      dir,
      fields: await stored(),
      program: program(weight),
      codesUnknown: new Set(['w']),
    });
    expect(report).toMatchObject({ passed: true, unknown: ['w'], tensors: 0 });
    const unnamed = { dir, fields: await stored(), program: program(weight), codesUnknown: 'all' } as const;
    expect(await verifyWeights(unnamed)).toMatchObject({ passed: true, unknown: ['w'], tensors: 0 });
    const others = await verifyWeights({ ...unnamed, codesUnknown: new Set(['v']) });
    expect(others).toMatchObject({ passed: false, unknown: [] });
    const claimed = await verifyWeights({ dir, fields: await stored(), program: program(weight) });
    expect(claimed.passed).toBe(false);
  });

  test('a code found and expected are numbers from 0 on', async () => {
    const fields = await stored();
    const bytes = Buffer.from(await readBytes(q));
    bytes[32 * 2 + 1]! ^= 0x30;
    writeFileSync(join(dir, 'q.bin'), Buffer.concat([bytes, await readBytes(scales), await readBytes(zeros!)]));
    const { differences } = await verifyWeights({ dir, fields, program: coded });
    const own = (await readTensor(q)).data[64 * 2 + 3]!;
    expect(differences).toMatchObject([
      { weight: 'w.codes', row: 2, element: 3, expected: String(own), found: String(own ^ 3), offset: 65 },
    ]);
  });
});
