import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { tensorData } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import type { ArtifactFile } from '../../backend.ts';
import { bundleFiles, type BundleContents } from './bundle_files.ts';
import { FORMAT_VERSION, MANIFEST_PATH } from './manifest.ts';
import { ManifestError } from './manifest_error.ts';
import type { Extent, PlannedValue, Size } from './plan.ts';
import { readManifest } from './read_manifest.ts';
import { layOutShards } from './shards.ts';
import { manifestBytes } from './write_manifest.ts';

const seq: Size = { constant: 1, terms: [{ symbol: 1, factor: 2 }, { symbol: 0, factor: -1 }] };
const one: Extent = { factors: [], divide: 1 };
const value = (name: string, buffer: number): PlannedValue => ({ name, type: 'f32', shape: [seq, { constant: 3, terms: [] }], growing: 0, buffer });

const contents: BundleContents = {
  precision: 'int4',
  model: {
    family: 'paligemma', variant: 'tiny', imageSize: 56, imageTokens: 16, imageTokenId: 511, vocabSize: 500, layers: 2, kvHeads: 1, headDim: 16, hiddenSize: 32,
    bosTokenId: 2, eosTokenId: 1, padTokenId: 0, maxPositions: 64,
  },
  plan: {
    symbols: ['past', 'seq', 'capacity'],
    pipelines: [{ variants: [{ shader: 1, features: ['subgroups'] }, { shader: 0, features: [] }], access: ['read', 'read', 'read_write'] }],
    buffers: [{ label: 'x', role: 'port', sizes: [{ factors: [seq], bytes: 4 }] }, { label: 'scratch', role: 'scratch', sizes: [] }],
    phases: [
      {
        name: 'decoder.step', graph: 'decoder', fixed: [{ symbol: 1, value: 1 }, { symbol: 0, value: 7 }], scalars: [{ symbol: 1, input: 'kept', whenZero: seq }], inputs: [value('x', 0)], outputs: [value('y', 0)],
        inPlace: [{ input: 'x', output: 'y' }], stages: [],
        steps: [{ label: 'y', pipeline: 0, bindings: [{ kind: 'buffer', index: 1 }, { kind: 'weight', index: 2 }, { kind: 'buffer', index: 0 }], grid: [{ factors: [seq, seq], divide: 64 }, one, one], produces: [{ name: 'y', type: 'i32', shape: [], buffer: 1 }] }],
      },
    ],
  },
  weights: [3, 70, 500].map((count, i) => ({ name: `w${i}`, data: tensorData(randomTensor('f32', [count], i)) })),
  shaders: [{ path: 'shaders/plain.wgsl', text: '// plain' }, { path: 'shaders/subgroups.wgsl', text: '// subgroups' }],
};

async function bytesOf(file: ArtifactFile): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of file.chunks()) parts.push(bytes);
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

async function written(shardBytes?: number): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const file of bundleFiles(contents, shardBytes)) {
    const bytes = await bytesOf(file);
    expect([file.path, bytes.byteLength]).toEqual([file.path, file.byteLength]);
    files.set(file.path, bytes);
  }
  return files;
}

describe('a bundle', () => {
  it('comes back from its manifest as it was written, with where its weights lie and the hashes of its files', async () => {
    const files = await written(2000);
    expect([...files.keys()]).toEqual(['weights/000.bin', 'weights/001.bin', 'shaders/plain.wgsl', 'shaders/subgroups.wgsl', MANIFEST_PATH]);
    const { precision, model, plan } = await readManifest(files.get(MANIFEST_PATH)!);
    expect({ precision, model }).toEqual({ precision: contents.precision, model: contents.model });
    const { weights, shards, shaders, ...rest } = plan;
    expect(rest).toEqual(contents.plan);
    expect(weights.map(({ shard, offset, byteLength }) => [shard, offset, byteLength])).toEqual([[0, 0, 12], [0, 256, 280], [1, 0, 2000]]);
    for (const { path, byteLength, sha256 } of [...shards, ...shaders]) {
      expect(sha256).toBe(createHash('sha256').update(files.get(path)!).digest('hex'));
      expect(byteLength).toBe(files.get(path)!.byteLength);
    }
    for (const { shard, offset, byteLength, name } of weights)
      expect(files.get(shards[shard]!.path)!.slice(offset, offset + byteLength)).toEqual(await bytesOf({ path: '', byteLength, chunks: async function* () { for await (const bytes of contents.weights.find((w) => w.name === name)!.data.chunks()) yield { bytes }; } }));
  });

  it('has no manifest before its shards are written', async () => {
    await expect(bytesOf(bundleFiles(contents).at(-1)!)).rejects.toThrow('weights/000.bin has not been written');
  });

  it('never cuts a range, and refuses one that no shard holds', () => {
    expect(layOutShards(contents.weights, 2000).shards.map(({ byteLength }) => byteLength)).toEqual([544, 2000]);
    expect(() => layOutShards(contents.weights, 1999)).toThrow('w2 has 2000 bytes');
  });
});

describe('a manifest', () => {
  let good: Uint8Array;
  beforeAll(async () => {
    good = (await written()).get(MANIFEST_PATH)!;
  });

  it('of a later version says so', async () => {
    const later = good.slice();
    const view = new DataView(later.buffer);
    const root = view.getUint32(0, true);
    const field = view.getUint16(root - view.getInt32(root, true) + 4, true);
    view.setUint32(root + field, FORMAT_VERSION + 1, true);
    await expect(readManifest(later)).rejects.toMatchObject({ code: 'newer', message: expect.stringContaining(`version ${FORMAT_VERSION + 1}`) as unknown });
  });

  it('that is cut short anywhere is an error', async () => {
    for (let length = 0; length < good.byteLength; length += 1 + Math.floor(length / 40)) await expect(readManifest(good.slice(0, length)), String(length)).rejects.toBeInstanceOf(ManifestError);
  });

  it('with any bytes changed is an error or the same manifest', async () => {
    const same = await readManifest(good);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(good.byteLength - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 8 }), async (flips) => {
        const bytes = good.slice();
        for (const [at, by] of flips) bytes[at]! ^= by;
        const result = await readManifest(bytes).catch((error: unknown) => error);
        if (!(result instanceof ManifestError)) expect(result).toEqual(same);
      }),
      { numRuns: 400 },
    );
  });

  type Change = (plan: typeof contents.plan & { weights: object[]; shards: object[]; shaders: object[] }) => object;
  it.each<[string, Change, string]>([
    ['a buffer that is not there', ({ phases }) => ({ phases: [{ ...phases[0]!, inputs: [value('x', 9)] }] }), 'no buffer of x 9'],
    ['a size that is not there', ({ buffers }) => ({ buffers: [...buffers, { label: 'z', role: 'port', sizes: [{ factors: [{ constant: 0, terms: [{ symbol: 3, factor: 1 }] }], bytes: 4 }] }] }), 'no size 3'],
    ['a shader that is not there', () => ({ pipelines: [{ variants: [{ shader: 2, features: [] }], access: ['read', 'read', 'read_write'] }] }), 'no shader 2'],
    ['bindings that the pipeline has not', () => ({ pipelines: [{ variants: [{ shader: 0, features: [] }], access: ['read'] }] }), '3 bindings for 1'],
    ['a grid divided by nothing', ({ phases }) => ({ phases: [{ ...phases[0]!, steps: [{ ...phases[0]!.steps[0]!, grid: [one, one, { factors: [], divide: 0 }] }] }] }), 'divided by 0'],
    ['a weight beyond its shard', ({ weights }) => ({ weights: [...weights.slice(0, 2), { name: 'w2', shard: 0, offset: 1024, byteLength: 1e6 }] }), 'does not lie in its shard'],
    ['weights over each other', ({ weights }) => ({ weights: [...weights.slice(0, 2), { name: 'w2', shard: 0, offset: 256, byteLength: 4 }] }), 'lies over another'],
    ['a weight at an odd place', ({ weights }) => ({ weights: [...weights.slice(0, 2), { name: 'w2', shard: 0, offset: 900, byteLength: 4 }] }), 'no multiple of 256'],
    ['a path out of the bundle', ({ shards }) => ({ shards: shards.map((shard) => ({ ...shard, path: 'weights/../../x.bin' })) }), 'no path within a bundle'],
    ['an absolute path', ({ shards }) => ({ shards: shards.map((shard) => ({ ...shard, path: '/x.bin' })) }), 'no path within a bundle'],
    ['two ports of one name', ({ phases }) => ({ phases: [{ ...phases[0]!, outputs: [value('y', 0), value('y', 1)] }] }), 'called alike'],
  ])('with %s is an error', async (_, change, message) => {
    const { plan, ...rest } = await readManifest(good);
    const broken = { ...plan, ...change(plan as Parameters<Change>[0]) } as typeof plan;
    await expect(readManifest(await manifestBytes({ ...rest, plan: broken }))).rejects.toMatchObject({ name: 'ManifestError', code: 'damaged', message: expect.stringContaining(message) as unknown });
  });
});
