import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bundleFiles } from './bundle_files.ts';
import { MANIFEST_PATH } from './manifest.ts';
import { readManifest } from './read_manifest.ts';
import { fileReader } from '../../testing/file_reader.ts';
import { CONTENTS, writtenFiles } from './testing/contents.ts';

describe('a bundle', () => {
  it('comes back from its manifest as it was written, with where its weights lie and the hashes of its files', async () => {
    const files = await writtenFiles(2000);
    expect([...files.keys()]).toEqual([
      'weights/000.bin',
      'weights/001.bin',
      'shaders/plain.wgsl',
      'shaders/subgroups.wgsl',
      MANIFEST_PATH,
    ]);
    const { precision, model, plan } = await readManifest(files.get(MANIFEST_PATH)!);
    expect({ precision, model }).toEqual({ precision: CONTENTS.precision, model: CONTENTS.model });
    const { weights, shards, shaders, ...rest } = plan;
    expect(rest).toEqual(CONTENTS.plan);
    expect(weights.map(({ shard, offset, byteLength }) => [shard, offset, byteLength])).toEqual([
      [0, 0, 12],
      [0, 256, 280],
      [1, 0, 2000],
    ]);
    for (const { path, byteLength, sha256 } of [...shards, ...shaders]) {
      expect(sha256).toBe(createHash('sha256').update(files.get(path)!).digest('hex'));
      expect(byteLength).toBe(files.get(path)!.byteLength);
    }
    for (const [i, { shard, offset, byteLength }] of weights.entries()) {
      const parts: Uint8Array[] = [];
      for await (const bytes of CONTENTS.weights[i]!.data.chunks()) parts.push(bytes);
      expect(files.get(shards[shard]!.path)!.slice(offset, offset + byteLength)).toEqual(
        new Uint8Array(Buffer.concat(parts)),
      );
    }
  });

  it('has as many bytes in each file as that says before it is written', async () => {
    const read = fileReader();
    for (const file of bundleFiles(CONTENTS, 2000))
      expect([file.path, (await read(file)).byteLength]).toEqual([file.path, file.byteLength]);
  });

  it('keeps a width of retrieval vectors, where there is one', async () => {
    const files = bundleFiles({ ...CONTENTS, model: { ...CONTENTS.model, retrievalWidth: 128 } });
    const read = fileReader();
    let manifest: Uint8Array | undefined;
    for (const file of files) manifest = await read(file);
    expect((await readManifest(manifest!)).model).toEqual({ ...CONTENTS.model, retrievalWidth: 128 });
  });

  it('has no manifest for whoever knows no hashes of its shards', async () => {
    const files = bundleFiles(CONTENTS);
    const read = fileReader();
    await expect(read(files.at(-1)!)).rejects.toThrow('weights/000.bin has not been written');
    await expect(files.at(-1)!.chunks()[Symbol.asyncIterator]().next()).rejects.toThrow('names the hashes of shards');
    await read(files[0]!);
    expect((await read(files.at(-1)!)).byteLength).toBe(files.at(-1)!.byteLength);
  });
});
