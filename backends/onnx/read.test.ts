import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { spawnSync } from 'node:child_process';
import { link, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BackendError } from '../error.ts';
import { MAX_MODEL_BYTES } from './decode.ts';
import { ModelProtoSchema, TensorProto_DataLocation as DataLocation, type TensorProtoSchema } from './proto/onnx_pb.ts';
import { readOnnx } from './read.ts';
import { emittedBundle } from './testing/emitted_bundle.ts';
import { nestedModel } from './testing/nested_model.ts';
import { tinyProgram } from '../testing/tiny_program.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgconv-read-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A model with one initializer `w`. */
async function modelWith(tensor: MessageInitShape<typeof TensorProtoSchema>): Promise<string> {
  const path = join(dir, 'm.onnx');
  await writeFile(
    path,
    toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, {
        irVersion: 10n,
        graph: { name: 'g', initializer: [{ name: 'w', dataType: 1, dims: [4n], ...tensor }] },
      }),
    ),
  );
  return path;
}

const external = (entries: Readonly<Record<string, string>>): MessageInitShape<typeof TensorProtoSchema> => ({
  dataLocation: DataLocation.EXTERNAL,
  externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
});

async function failureOf(path: string): Promise<BackendError> {
  const failure = await readOnnx(path).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(BackendError);
  return failure as BackendError;
}

describe('what an .onnx file says', () => {
  it('of an emitted graph', async () => {
    await using bundle = await emittedBundle(tinyProgram());
    const summary = await readOnnx(join(bundle.dir, 'onnx/decoder_model_merged.onnx'));
    expect(summary).toMatchObject({ irVersion: 10, producer: 'pgconv', graph: 'decoder', opsets: new Map([['', 23]]) });
    expect(summary.inputs[1]).toEqual({ name: 'attention_mask', dtype: 'i64', shape: ['batch_size', 'past + seq'] });
    expect(summary.outputs[0]).toEqual({ name: 'logits', dtype: 'f32', shape: ['batch_size', 'kept', 24] });
    expect(summary.ops.get('RMSNormalization')).toBe(2);
    expect([...summary.ops.values()]).toEqual([...summary.ops.values()].sort((a, b) => b - a));
    const head = summary.initializers.find((i) => i.name === 'lm.head.transposed')!;
    expect(head).toMatchObject({
      dtype: 'f32',
      shape: [16, 24],
      byteLength: 1536,
      external: { location: 'decoder_model_merged.onnx_data' },
    });
    const layer = 2 * (16 + 32 * 16 + 2 * (8 * 16) + 16 * 32 + 16 + 2 * (24 * 16));
    expect(summary.parameters).toBe(layer + 2 * 64 * 4 + 24 * 16 + 4); // and the literals 0, -1e30, 1/5 and 5
    expect(summary.bytes).toBeGreaterThan(4 * summary.parameters);
    expect(summary.metadata.get('pgconv.graph')).toBe('decoder');
  });

  it('of external data without offset and length: all of the tensor from the start', async () => {
    await writeFile(join(dir, 'd'), new Uint8Array(16));
    expect((await readOnnx(await modelWith(external({ location: 'd' })))).initializers[0]).toMatchObject({
      byteLength: 16,
      external: { location: 'd', offset: 0 },
    });
  });

  it('of a folder below', async () => {
    await mkdir(join(dir, 'sub'));
    await writeFile(join(dir, 'sub/d'), new Uint8Array(16));
    expect((await readOnnx(await modelWith(external({ location: 'sub/d' })))).bytes).toBe(16);
  });

  it('of 4-bit elements with an odd count', async () => {
    expect(
      (await readOnnx(await modelWith({ dataType: 22, dims: [3n], rawData: new Uint8Array(2) }))).initializers[0],
    ).toMatchObject({ dtype: 'i4', byteLength: 2 });
  });
});

describe('a hostile or damaged file is refused by name', () => {
  it.each([
    '../secret',
    'a/../../secret',
    '/etc/passwd',
    'C:\\secret',
    'C:/secret',
    '\\\\host\\share',
    './d',
    'a//d',
    '',
    'd\0',
  ])('location %j', async (location) => {
    await writeFile(join(dir, 'd'), new Uint8Array(16));
    expect(await failureOf(await modelWith(external({ location })))).toMatchObject({
      code: 'bundle-damaged',
      place: { file: join(dir, 'm.onnx'), tensor: 'w', hint: expect.any(String) },
    });
  });

  it('a symbolic link, to a file or on the way', async () => {
    await symlink('/etc/hostname', join(dir, 'd'));
    expect((await failureOf(await modelWith(external({ location: 'd' })))).message).toContain('symbolic link');
    await symlink('/etc', join(dir, 'sub'));
    expect((await failureOf(await modelWith(external({ location: 'sub/hostname' })))).message).toContain(
      'symbolic link',
    );
  });

  it('a hard link, a folder, a missing file', async () => {
    await writeFile(join(dir, 'original'), new Uint8Array(16));
    await link(join(dir, 'original'), join(dir, 'hard'));
    await mkdir(join(dir, 'folder'));
    expect((await failureOf(await modelWith(external({ location: 'hard' })))).message).toContain('hard link');
    expect((await failureOf(await modelWith(external({ location: 'folder' })))).message).toContain(
      'not a regular file',
    );
    expect((await failureOf(await modelWith(external({ location: 'absent' })))).message).toContain('does not exist');
    expect((await failureOf(await modelWith(external({ location: 'original/d' })))).message).toContain(
      'does not exist',
    );
  });

  it.each([
    ['a negative offset', { offset: '-4' }],
    ['an offset past the end', { offset: '4' }],
    ['an offset of a petabyte', { offset: '1125899906842624' }],
    ['an offset beyond 2^53', { offset: '9007199254740993' }],
    ['an offset that is no number', { offset: '0x10' }],
    ['a fraction', { offset: '1e1' }],
    ['a length that is not its shape’s', { length: '12' }],
    ['a negative length', { length: '-1' }],
  ] as [string, Readonly<Record<string, string>>][])('%s', async (_, entries) => {
    await writeFile(join(dir, 'd'), new Uint8Array(16));
    expect(await failureOf(await modelWith(external({ location: 'd', ...entries })))).toMatchObject({
      code: 'bundle-damaged',
      place: { tensor: 'w' },
    });
  });

  it('external data without a location', async () =>
    expect((await failureOf(await modelWith(external({ offset: '0' })))).message).toContain('location'));

  it.each([
    ['a negative size', { dims: [-1n] }],
    ['sizes whose product overflows', { dims: [2n ** 62n, 2n ** 62n] }],
    ['inline bytes that are not its shape’s', { rawData: new Uint8Array(15) }],
    ['strings', { dataType: 8 }],
    ['an element type that does not exist', { dataType: 99 }],
  ])('%s', async (_, tensor) =>
    expect(await failureOf(await modelWith(tensor))).toMatchObject({ code: 'bundle-damaged', place: { tensor: 'w' } }),
  );

  it.each([
    ['nothing', []],
    ['a truncated varint', [0x08, 0xff]],
    ['a length past the end', [0x3a, 0x7f, 0x00]],
    ['an endless varint', Array.from({ length: 20 }, () => 0xff)],
    ['text', [...Buffer.from('version https://git-lfs.github.com/spec/v1\n')]],
  ])('%s', async (_, bytes) => {
    const path = join(dir, 'm.onnx');
    await writeFile(path, new Uint8Array(bytes));
    expect(await failureOf(path)).toMatchObject({ code: 'bundle-damaged', place: { file: path } });
  });

  it('subgraphs nested 10,000 deep', async () => {
    const path = join(dir, 'm.onnx');
    await writeFile(path, nestedModel(10_000));
    expect((await failureOf(path)).message).toContain('recursion');
  });

  it('a model file that is too large to be read whole, without reading it', async () => {
    const path = join(dir, 'm.onnx');
    await writeFile(path, '');
    await truncate(path, MAX_MODEL_BYTES + 1);
    const before = process.memoryUsage().rss;
    expect((await failureOf(path)).place.hint).toContain('external data');
    expect(process.memoryUsage().rss - before).toBeLessThan(MAX_MODEL_BYTES);
  });

  it('a FIFO, which would never end', async () => {
    const path = join(dir, 'm.onnx');
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    expect((await failureOf(path)).message).toContain('not a regular file');
  });

  it('a path that is absent or a folder', async () => {
    expect((await failureOf(join(dir, 'absent.onnx'))).code).toBe('bundle-missing');
    expect((await failureOf(dir)).code).toBe('bundle-damaged');
  });

  it('every prefix of a good file, or it is still a model', async () => {
    await using bundle = await emittedBundle(tinyProgram());
    const bytes = await readFile(join(bundle.dir, 'onnx/embed_tokens.onnx'));
    const path = join(bundle.dir, 'onnx/cut.onnx');
    for (let length = 0; length < bytes.length; length += 7) {
      await writeFile(path, bytes.subarray(0, length));
      const outcome = await readOnnx(path).catch((error: unknown) => error);
      expect(outcome instanceof BackendError, `${length} bytes`).toBe(true);
    }
  });
});
