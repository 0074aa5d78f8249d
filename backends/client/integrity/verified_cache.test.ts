import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveFiles, type FileServer } from '../../wgsl/runtime/testing/file_server.ts';
import { withHashes } from './testing/with_hashes.ts';
import { verifiedCache, type ResponseCache } from './verified_cache.ts';

const DATA = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251);
let server: FileServer;
beforeAll(async () => (server = await serveFiles(withHashes(new Map([['a.bin', DATA]])))));
afterAll(() => server.close());

class MemoryCache implements ResponseCache {
  readonly kept = new Map<string, Uint8Array<ArrayBuffer>>();

  async match(request: string): Promise<Response | undefined> {
    const data = this.kept.get(request);
    return data && new Response(data);
  }

  async put(request: string, response: Response): Promise<void> {
    this.kept.set(request, new Uint8Array(await response.arrayBuffer()));
  }

  async delete(request: string): Promise<boolean> {
    return this.kept.delete(request);
  }
}

it('gives what is as written, and gives up what is not, so that it is fetched again', async () => {
  const cache = new MemoryCache();
  const verified = await verifiedCache(server.url, cache);
  const [file, unlisted, other] = [`${server.url}/a.bin`, `${server.url}/b.bin`, 'https://example.org/a.bin'];
  expect(await verified.match(file)).toBeUndefined();
  await verified.put(file, new Response(DATA));
  expect(new Uint8Array(await (await verified.match(file))!.arrayBuffer())).toEqual(DATA);
  const old = DATA.slice();
  old[4999]! ^= 1;
  for (const url of [file, unlisted, other]) await verified.put(url, new Response(old));
  expect(await verified.match(file)).toBeUndefined();
  expect(await verified.match(unlisted)).toBeUndefined();
  expect([...cache.kept.keys()]).toEqual([other]);
  expect(new Uint8Array(await (await verified.match(other))!.arrayBuffer())).toEqual(old);
  expect(await verified.delete(other)).toBe(true);
});
