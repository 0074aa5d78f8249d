import { expect, test } from 'vitest';
import { readBytes, readTensor } from '../../../ir/tensor.ts';
import { ropeTables } from './rope_tables.ts';

test('there is a row for every position from 1 to the last that is promised, and for 0', async () => {
  const [cos, sin] = ropeTables({ headDim: 4, ropeTheta: 100, maxPositions: 7 });
  expect([cos.shape, sin.shape]).toEqual([
    [8, 2],
    [8, 2],
  ]);
  const [cosines, sines] = [await readTensor(cos), await readTensor(sin)];
  expect([...cosines.data.slice(0, 2)]).toEqual([1, 1]);
  expect([...cosines.data.slice(-2)]).toEqual([Math.cos(7), Math.cos(0.7)].map(Math.fround));
  expect([...sines.data.slice(-2)]).toEqual([Math.sin(7), Math.sin(0.7)].map(Math.fround));
});

test('more positions change no row of fewer', async () => {
  const [few] = ropeTables({ headDim: 4, ropeTheta: 100, maxPositions: 7 });
  const [more] = ropeTables({ headDim: 4, ropeTheta: 100, maxPositions: 9 });
  expect((await readTensor(more)).data.slice(0, 16)).toEqual((await readTensor(few)).data);
});

test('a table that is too large to be kept has the same bytes, read in whatever ranges', async () => {
  const config = { headDim: 6, ropeTheta: 100, maxPositions: 50 };
  for (const [i, kept] of ropeTables(config).entries()) {
    const lazy = ropeTables(config, 0)[i]!;
    const all = await readBytes(kept);
    expect(await readBytes(lazy)).toEqual(all);
    expect(await readBytes(lazy, { begin: 12, end: 333, maxBytes: 16 })).toEqual(all.slice(12, 333));
  }
});

test('positions cost nothing until they are read', () => {
  const before = process.memoryUsage().rss;
  const [cos] = ropeTables({ headDim: 256, ropeTheta: 10000, maxPositions: 2 ** 40 });
  expect(cos.byteLength).toBe(4 * (2 ** 40 + 1) * 128);
  expect(process.memoryUsage().rss - before).toBeLessThan(16 * 1024 * 1024);
});
