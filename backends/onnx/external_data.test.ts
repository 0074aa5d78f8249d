import { describe, expect, it } from 'vitest';
import { bytesData, type TensorData } from '../../ir/tensor.ts';
import { BackendError } from '../error.ts';
import { ALIGNMENT, DATA_FILE_BYTES, dataFileChunks, layOut } from './external_data.ts';
import type { WeightInitializer } from './lower/model.ts';

const weight = (name: string, byteLength: number, fill = 1): WeightInitializer => ({
  kind: 'weight',
  name,
  data: bytesData('u8', [byteLength], new Uint8Array(byteLength).fill(fill)),
});
/** A size without bytes: layout reads none. */
const sized = (name: string, byteLength: number): WeightInitializer => ({
  kind: 'weight',
  name,
  data: { dtype: 'u8', shape: [byteLength], byteLength, chunks: () => expect.fail('read') },
});

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('layout of external data', () => {
  it('puts tensors in order on page boundaries', () => {
    const [file, ...rest] = layOut('m.onnx', [weight('a', 5000), weight('b', 1), weight('c', 4096)]);
    expect(rest).toEqual([]);
    expect(file).toMatchObject({
      name: 'm.onnx_data',
      byteLength: 3 * ALIGNMENT + 4096,
      placements: [{ offset: 0 }, { offset: 2 * ALIGNMENT }, { offset: 3 * ALIGNMENT }],
    });
  });

  it('opens a file when the next tensor would pass the limit, and gives a larger tensor its own', () => {
    const files = layOut(
      'm.onnx',
      [weight('a', 4000), weight('b', 4000), weight('c', 30_000), weight('d', 10)],
      10_000,
    );
    expect(
      files.map(({ name, byteLength, placements }) => [
        name,
        byteLength,
        placements.map((p) => p.initializer.name).join(),
      ]),
    ).toEqual([
      ['m.onnx_data', 8096, 'a,b'],
      ['m.onnx_data_1', 30_000, 'c'],
      ['m.onnx_data_2', 10, 'd'],
    ]);
  });

  it('fills a file to the last byte of the limit', () => {
    expect(layOut('m.onnx', [weight('a', 4096), weight('b', 904)], 5000)).toHaveLength(1);
    expect(layOut('m.onnx', [weight('a', 4096), weight('b', 905)], 5000)).toHaveLength(2);
  });

  it('keeps every file of a 3B model in f32 under 1 GB, except for the embedding', () => {
    const layers = Array.from({ length: 18 }, (_, i) => [
      sized(`up${i}`, 2048 * 16384 * 4),
      sized(`gate${i}`, 2048 * 16384 * 4),
      sized(`down${i}`, 2048 * 16384 * 4),
    ]).flat();
    const files = layOut('m.onnx', [...layers, sized('head', 257_152 * 2048 * 4)]);
    expect(files.length).toBeLessThan(12);
    expect(
      files.filter((f) => f.byteLength > DATA_FILE_BYTES).map((f) => f.placements.map((p) => p.initializer.name)),
    ).toEqual([['head']]);
  });

  it('refuses more files than transformers.js loads', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => sized(`w${i}`, 100));
    expect(layOut('m.onnx', many(100), 100)).toHaveLength(100);
    expect(() => layOut('m.onnx', many(101), 100)).toThrow(BackendError);
  });
});

describe('bytes of external data', () => {
  it('come under the name of their tensor, with zeros between', async () => {
    const [file] = layOut('m.onnx', [weight('a', 3, 7), weight('b', 2, 9)]);
    const chunks = await collect(dataFileChunks(file!));
    expect(chunks.map(({ tensor, bytes }) => [tensor?.name, bytes.byteLength])).toEqual([
      ['a', 3],
      [undefined, ALIGNMENT - 3],
      ['b', 2],
    ]);
    expect(Buffer.concat(chunks.map((c) => c.bytes))).toEqual(
      Buffer.concat([Buffer.alloc(3, 7), Buffer.alloc(ALIGNMENT - 3), Buffer.alloc(2, 9)]),
    );
  });

  it.each([
    ['fewer', 3],
    ['more', 5],
  ])('stop when a tensor gives %s bytes than its shape needs', async (_, given) => {
    const data: TensorData = {
      ...bytesData('u8', [given], new Uint8Array(given)),
      shape: [4],
      byteLength: 4,
      from: { file: 'model.npz', key: 'w', byteOffset: 0 },
    };
    const [file] = layOut('m.onnx', [{ kind: 'weight', name: 'w', data }]);
    const failure = await collect(dataFileChunks(file!)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BackendError);
    expect(failure).toMatchObject({
      code: 'bad-input',
      place: { file: 'm.onnx_data', tensor: 'w', offset: 0, hint: expect.stringContaining('model.npz') },
    });
  });
});
