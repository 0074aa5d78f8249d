import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import { MANIFEST_PATH } from '../bundle/manifest.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { load } from './load.ts';
import type { LoadOptions } from './load_options.ts';
import type { Model } from './model.ts';
import type { BundleLocation } from '../../client/sources/open_source.ts';
import { countedGpu } from './testing/counted_gpu.ts';
import { serveFiles, type FileServer, type FileServerOptions } from './testing/file_server.ts';
import { MemoryDirectory } from './testing/memory_directory.ts';
import { HASHES_PATH } from '../../client/integrity/file_hashes.ts';
import { asBlobs, withHashes } from '../../client/integrity/testing/with_hashes.ts';
import { toyBundle } from './testing/toy_bundle.ts';
import { toyTokens } from './testing/toy_model.ts';

let files: Map<string, Uint8Array<ArrayBuffer>>;
let folder: string;
beforeAll(async () => {
  files = await toyBundle();
  folder = await mkdtemp(join(tmpdir(), 'pgconv-runtime-'));
  for (const [path, data] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), data);
  }
});
afterAll(() => rm(folder, { recursive: true }));

const servers: FileServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
async function served(options?: FileServerOptions, of: ReadonlyMap<string, Uint8Array> = files): Promise<FileServer> {
  const server = await serveFiles(of, options);
  servers.push(server);
  return server;
}

const PROMPT = [2, 5, 9];
async function tokensOf(model: Model): Promise<number[]> {
  await model.prefill({ rows: [PROMPT], maxNewTokens: 4 });
  const tokens: number[] = [];
  for await (const [token] of model.decode()) tokens.push(token!);
  return tokens;
}

/** Loads, answers as the toy does, and leaves nothing. */
async function expectWorks(location: BundleLocation, options: LoadOptions = {}): Promise<Model> {
  const gpu = countedGpu();
  const model = await load(location, { gpu, ...options });
  expect(await tokensOf(model)).toEqual(toyTokens([PROMPT], [], 4)[0]);
  await model.dispose();
  expect(gpu.live()).toEqual([]);
  return model;
}

/** Fails with this error, and leaves nothing. */
async function expectRefusal(location: BundleLocation, error: object, options: LoadOptions = {}): Promise<void> {
  const gpu = countedGpu();
  await expect(load(location, { gpu, ...options })).rejects.toMatchObject(error);
  expect(gpu.live()).toEqual([]);
}

const spoilt = (path: string, change: (data: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>) =>
  asBlobs(new Map([...files, [path, change(files.get(path)!.slice())]]));
const flipped = (data: Uint8Array<ArrayBuffer>) => {
  data[data.length >> 1]! ^= 4;
  return data;
};

describe('load', () => {
  itOnGpu('from a folder, its file: URL, blobs by path, and files as a browser gives them', async () => {
    await expectWorks(folder);
    await expectWorks(pathToFileURL(folder));
    await expectWorks(asBlobs(files));
    const picked = [...files].map(([path, data]) =>
      Object.assign(new File([data], path.split('/').at(-1)!), { webkitRelativePath: `bundles/toy/${path}` }),
    );
    await expectWorks([new File(['x'], 'other.txt'), ...picked]);
  });

  itOnGpu('from a URL; bytes are told as they come', async () => {
    const { url, requests } = await served();
    const heard: number[] = [];
    const total = 256 + 1001;
    await expectWorks(`${url}/`, {
      onProgress: (progress) => (expect(progress.total).toBe(total), heard.push(progress.loaded)),
    });
    expect(heard.at(-1)).toBe(total);
    expect(requests).toContain('weights/0.bin bytes=0-255');
  });

  itOnGpu('says what it chose, and why', async () => {
    const both = await toyBundle((plan) => ({
      ...plan,
      pipelines: plan.pipelines.map((pipeline, i) =>
        i === 0 ? { ...pipeline, variants: [{ shader: 1, features: ['shader-f16'] }, ...pipeline.variants] } : pipeline,
      ),
    }));
    const gpu = countedGpu({ features: ['shader-f16'] });
    const model = await load(asBlobs(both), { gpu });
    expect(model.info).toMatchObject({ precision: 'fp32', adapter: expect.stringMatching(/./), cache: { hits: 0 } });
    expect(model.info.choices[0]).toEqual({
      shader: 'shaders/see.wgsl',
      features: [],
      reason: 'this device has no shader-f16',
    });
    expect(model.info.choices[1]).toEqual({ shader: 'shaders/embed.wgsl', features: [], reason: '' });
    await model.dispose();
  });

  itOnGpu('chooses by what WGSL has, not only the device', async () => {
    const feature = 'packed_4x8_integer_dot_product';
    const both = await toyBundle((plan) => ({
      ...plan,
      pipelines: plan.pipelines.map((pipeline, i) =>
        i === 0
          ? {
              ...pipeline,
              variants: [{ shader: pipeline.variants[0]!.shader, features: [feature] }, ...pipeline.variants],
            }
          : pipeline,
      ),
    }));
    const chosen = async (options: LoadOptions) => {
      const model = await load(asBlobs(both), options);
      const [choice] = model.info.choices;
      await model.dispose();
      return choice;
    };
    const shader = 'shaders/see.wgsl';
    expect(await chosen({ gpu: countedGpu() })).toEqual({ shader, features: [feature], reason: '' });
    expect(await chosen({ gpu: countedGpu({ features: [feature] }) })).toEqual({
      shader,
      features: [],
      reason: `this device has no ${feature}`,
    });
    const device = await (await countedGpu().requestAdapter())!.requestDevice();
    expect(await chosen({ device, gpu: countedGpu() })).toMatchObject({ features: [feature] });
    // nothing says where it comes from
    expect(await chosen({ device })).toMatchObject({ features: [], reason: `this device has no ${feature}` });
    device.destroy();
  });

  itOnGpu('on a device of the caller, which is left alone', async () => {
    const gpu = countedGpu();
    const device = await (await gpu.requestAdapter())!.requestDevice();
    await expectWorks(folder, { device });
    await expectWorks(folder, { device });
    device.destroy();
  });
});

describe('a server', () => {
  itOnGpu('that breaks off is asked for the rest', async () => {
    let broken = 0;
    const { url, requests } = await served({
      meddle(path, response, body) {
        if (path !== 'weights/1.bin' || broken++ > 1) return false;
        response.writeHead(206, { 'content-length': body.length, 'content-range': `bytes 0-0/1001` });
        response.write(body.subarray(0, 300), () => response.destroy());
        return true;
      },
    });
    await expectWorks(url);
    expect(requests.filter((request) => request.startsWith('weights/1'))).toEqual(
      [0, 300, 600].map((start) => `weights/1.bin bytes=${start}-1000`),
    );
  });

  itOnGpu('without ranges begins again', async () => {
    let broken = 0;
    const { url } = await served({
      ranges: false,
      meddle(path, response, body) {
        if (path !== 'weights/1.bin' || broken++ > 0) return false;
        response.writeHead(200, { 'content-length': body.length });
        response.write(body.subarray(0, 300), () => response.destroy());
        return true;
      },
    });
    await expectWorks(url);
    expect(broken).toBe(2);
  });

  itOnGpu('that is busy is asked again; that has nothing, or is not there, is an error', async () => {
    let busy = 0;
    const { url } = await served({
      meddle: (path, response) => path === 'weights/0.bin' && busy++ < 2 && (response.writeHead(503).end(), true),
    });
    await expectWorks(url);
    await expectRefusal(url.replace('bundle', 'other'), { code: 'not_found', message: expect.stringContaining('404') });
    await expectRefusal('http://127.0.0.1:9/bundle', { code: 'network' });
  });

  itOnGpu('with files that are cut short', async () => {
    const { url } = await served(
      {},
      new Map([...files, ['weights/1.bin', files.get('weights/1.bin')!.subarray(0, 400)]]),
    );
    await expectRefusal(url, { code: 'damaged', message: expect.stringContaining('weights/1.bin') });
    const plain = await served(
      { ranges: false },
      new Map([...files, ['weights/1.bin', files.get('weights/1.bin')!.subarray(0, 400)]]),
    );
    await expectRefusal(plain.url, { code: 'damaged', message: expect.stringContaining('weights/1.bin') });
  });
});

describe('what is kept', () => {
  itOnGpu('shards, once: the next time they do not come from the server', async () => {
    const cache = new MemoryDirectory();
    const { url, requests } = await served();
    const first = await expectWorks(url, { cache });
    expect(first.info.cache).toEqual({ hits: 0, stored: 2, problem: undefined });
    expect(requests.filter((request) => request.startsWith('weights'))).toHaveLength(2);
    const second = await expectWorks(url, { cache });
    expect(second.info.cache).toEqual({ hits: 2, stored: 0, problem: undefined });
    expect(requests.filter((request) => request.startsWith('weights'))).toHaveLength(2);
  });

  itOnGpu('nothing that is damaged; a file of another length, or with a flipped bit, is not used', async () => {
    const cache = new MemoryDirectory();
    await expectRefusal(spoilt('weights/1.bin', flipped), { code: 'damaged' }, { cache });
    expect(cache.files.size).toBe(1);
    for (const [name] of cache.files) cache.files.set(name, new Blob(['short']));
    expect((await expectWorks(folder, { cache })).info.cache).toMatchObject({ hits: 0, stored: 2 });
    const [[name, whole]] = [...cache.files] as [[string, Blob]];
    cache.files.set(name, new Blob([flipped(new Uint8Array(await whole.arrayBuffer()))]));
    expect((await expectWorks(folder, { cache })).info.cache).toEqual({ hits: 1, stored: 1, problem: undefined });
    expect((await expectWorks(folder, { cache })).info.cache).toEqual({ hits: 2, stored: 0, problem: undefined });
  });

  itOnGpu('nothing where there is no room or no such file system: it says so and goes on', async () => {
    const cache = new MemoryDirectory();
    cache.quota = 500;
    expect((await expectWorks(folder, { cache })).info.cache).toEqual({
      hits: 0,
      stored: 1,
      problem: 'QuotaExceededError',
    });
    expect((await expectWorks(folder, { cache: true })).info.cache.problem).toMatch(/OPFS/);
  });
});

describe('faults', () => {
  itOnGpu('a shard cut short, with a byte too many, with a flipped bit; a shader with one', async () => {
    await expectRefusal(
      spoilt('weights/1.bin', (data) => data.slice(0, -5)),
      { code: 'damaged', message: expect.stringContaining('weights/1.bin') },
    );
    await expectRefusal(
      spoilt('weights/0.bin', (data) => new Uint8Array([...data, 0])),
      { code: 'damaged', message: expect.stringContaining('weights/0.bin') },
    );
    await expectRefusal(spoilt('weights/0.bin', flipped), {
      code: 'damaged',
      message: expect.stringContaining('weights/0.bin'),
    });
    await expectRefusal(spoilt('shaders/say.wgsl', flipped), {
      code: 'damaged',
      message: expect.stringContaining('shaders/say.wgsl'),
    });
    const cut = await mkdtemp(join(tmpdir(), 'pgconv-runtime-'));
    for (const [path, data] of files) {
      await mkdir(dirname(join(cut, path)), { recursive: true });
      await writeFile(join(cut, path), data);
    }
    await truncate(join(cut, 'weights/0.bin'), 100);
    await expectRefusal(cut, { code: 'damaged' });
    await rm(join(cut, 'weights/0.bin'));
    await expectRefusal(cut, { code: 'damaged', message: expect.stringContaining('weights/0.bin') });
    await expectRefusal(cut, { code: 'not_found', message: expect.stringContaining('0.bin') }, { integrity: false });
    await rm(cut, { recursive: true });
    await expectRefusal(cut, { code: 'not_found' });
  });

  itOnGpu('a manifest of a later version, one with a flipped bit, none', async () => {
    const later = (data: Uint8Array<ArrayBuffer>) => {
      const view = new DataView(data.buffer);
      const root = view.getUint32(0, true);
      view.setUint32(root + view.getUint16(root - view.getInt32(root, true) + 4, true), 99, true);
      return data;
    };
    const plan = later(files.get(MANIFEST_PATH)!.slice());
    await expectRefusal(asBlobs(withHashes(new Map([...files, [MANIFEST_PATH, plan]]))), {
      code: 'newer_version',
      message: expect.stringContaining('99'),
    });
    for (const integrity of [true, false])
      await expectRefusal(
        spoilt(MANIFEST_PATH, flipped),
        { code: 'damaged', message: expect.stringContaining(MANIFEST_PATH) },
        { integrity },
      );
    await expectRefusal(spoilt(HASHES_PATH, flipped), {
      code: 'damaged',
      message: expect.stringContaining(HASHES_PATH),
    });
    await expectRefusal([new File(['x'], 'x.txt')], { code: 'bad_input' });
    await expectRefusal(new Map(), { code: 'not_found' });
  });

  itOnGpu('a bundle without manifest.json, and one with a flipped bit, load where nobody is to check', async () => {
    const without = new Map(files);
    without.delete(HASHES_PATH);
    await expectRefusal(asBlobs(without), { code: 'not_found', message: expect.stringContaining('integrity: false') });
    await expectWorks(asBlobs(without), { integrity: false });
    const cache = new MemoryDirectory();
    const opens = async (integrity: boolean) =>
      (await load(spoilt('weights/1.bin', flipped), { gpu: countedGpu(), integrity, cache })).dispose();
    await opens(false);
    // what was kept unseen is seen by who checks
    expect(cache.files.size).toBe(2);
    await expect(opens(true)).rejects.toMatchObject({ code: 'damaged' });
    await opens(false);
  });

  itOnGpu('a device that lacks a feature, one whose limits are too small, none', async () => {
    const only = await toyBundle((plan) => ({
      ...plan,
      pipelines: plan.pipelines.map((pipeline) => ({
        ...pipeline,
        variants: [{ shader: pipeline.variants[0]!.shader, features: ['subgroups'] }],
      })),
    }));
    await expectRefusal(
      asBlobs(only),
      { code: expect.stringMatching(/missing_feature|damaged/) },
      { gpu: countedGpu({ features: ['subgroups'] }) },
    );
    await expectRefusal(
      folder,
      {
        code: 'small_limit',
        message: expect.stringContaining('maxStorageBuffersPerShaderStage of 4, this device offers 3'),
      },
      { gpu: countedGpu({ limits: { maxStorageBuffersPerShaderStage: 3 } }) },
    );
    await expectRefusal(
      folder,
      { code: 'small_limit', message: expect.stringContaining('maxBufferSize') },
      { gpu: countedGpu({ limits: { maxBufferSize: 1000 } }) },
    );
    await expectRefusal(folder, { code: 'no_webgpu' }, { gpu: { requestAdapter: async () => null } });
  });

  itOnGpu('a device lost while decoding: an error, nothing hangs, and recover() loads again', async () => {
    const gpu = countedGpu();
    const model = await load(folder, { gpu });
    await model.prefill({ rows: [PROMPT], maxNewTokens: 40 });
    const tokens = model.decode({ stopTokenIds: [], ahead: 2 });
    await tokens.next();
    gpu.devices[0]!.destroy();
    const rest = (async () => {
      for await (const _ of tokens);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'device_lost' });
    await expect(model.prefill({ rows: [PROMPT] })).rejects.toMatchObject({ code: 'device_lost' });
    await expect(model.encodeImage({ width: 1, height: 1, data: new Uint8Array(3) })).rejects.toMatchObject({
      code: 'device_lost',
    });
    await model.recover();
    expect(await tokensOf(model)).toEqual(toyTokens([PROMPT], [], 4)[0]);
    await model.dispose();
    expect(gpu.live()).toEqual([]);
    await expect(model.prefill({ rows: [PROMPT] })).rejects.toMatchObject({ code: 'disposed' });
  });

  itOnGpu('a shader that does not compile ends a download that is under way', async () => {
    const text = new TextEncoder().encode('fn main( {');
    const sha256 = createHash('sha256').update(text).digest('hex');
    const broken = await toyBundle((plan) => ({
      ...plan,
      shaders: plan.shaders.map((shader, i) => (i === 4 ? { ...shader, byteLength: text.length, sha256 } : shader)),
    }));
    const { url } = await served(
      {
        meddle: (path, response, body) =>
          path === 'weights/1.bin' && (response.writeHead(206, { 'content-length': body.length }).write('x'), true),
      },
      withHashes(new Map([...broken, ['shaders/say.wgsl', text]])),
    );
    await expectRefusal(url, { code: 'bad_shader', message: expect.stringContaining('say.wgsl') });
  });

  itOnGpu('a device lost while loading', async () => {
    const gpu = countedGpu();
    await expect(load(folder, { gpu, onProgress: () => gpu.devices[0]!.destroy() })).rejects.toMatchObject({
      code: 'device_lost',
    });
    expect(gpu.live()).toEqual([]);
  });

  itOnGpu('an abort before loading, while weights come, while the server keeps silent', async () => {
    const reason = new Error('no more');
    await expectRefusal(folder, reason, { signal: AbortSignal.abort(reason) });
    const stop = new AbortController();
    await expectRefusal(folder, reason, { signal: stop.signal, onProgress: () => stop.abort(reason) });
    const { url } = await served({
      meddle(path, response, body) {
        if (path !== 'weights/1.bin') return false;
        response.writeHead(206, { 'content-length': body.length });
        response.write(body.subarray(0, 10), () => later.abort(reason));
        return true;
      },
    });
    const later = new AbortController();
    await expectRefusal(url, reason, { signal: later.signal });
  });

  itOnGpu(
    'an abort, and a damaged shard, while shaders compile: nobody waits for the compiler, and no more shaders begin',
    async () => {
      const [AT_ONCE, PIPELINES] = [8, 50];
      let begun = 0;
      const gpu = countedGpu();
      const device = await (await gpu.requestAdapter())!.requestDevice();
      const stop = new AbortController();
      const reason = new Error('no more');
      // a compiler that never ends
      device.createComputePipelineAsync = () => {
        if (++begun === AT_ONCE) setTimeout(() => stop.abort(reason), 0);
        return new Promise(() => {});
      };
      // shaders of their own: equal ones would be compiled once
      const shaders = Array.from({ length: PIPELINES }, (_, i) => {
        const data = new TextEncoder().encode(`// ${i}`);
        const sha256 = createHash('sha256').update(data).digest('hex');
        return { path: `shaders/${i}.wgsl`, byteLength: data.length, sha256, data };
      });
      const toy = await toyBundle((plan) => ({
        ...plan,
        shaders: shaders.map(({ path, byteLength, sha256 }) => ({ path, byteLength, sha256 })),
        pipelines: shaders.map((_, shader) => ({
          ...plan.pipelines[shader % plan.pipelines.length]!,
          variants: [{ shader, features: [] }],
        })),
      }));
      const many = withHashes(new Map([...toy, ...shaders.map(({ path, data }) => [path, data] as const)]));
      await expectRefusal(asBlobs(many), reason, { device, signal: stop.signal });
      expect(begun).toBe(AT_ONCE);
      await expectRefusal(
        asBlobs(new Map([...many, ['weights/1.bin', flipped(files.get('weights/1.bin')!.slice())]])),
        { code: 'damaged' },
        { device },
      );
      expect(begun).toBeLessThanOrEqual(2 * AT_ONCE);
      device.destroy();
      expect(gpu.live()).toEqual([]);
    },
  );
});
