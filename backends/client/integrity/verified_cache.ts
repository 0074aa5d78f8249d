import { RuntimeError } from '../errors.ts';
import { absoluteUrl } from '../sources/open_source.ts';
import { chunksOf, httpSource } from '../sources/http_source.ts';
import { BundleAddress } from './bundle_address.ts';
import { checkedChunks } from './checked_chunks.ts';
import { readFileHashes } from './file_hashes.ts';
import type { FetchOptions } from './verified_fetch.ts';

/** What this uses of a browser's Cache, and what transformers.js does of its `env.customCache`. */
export interface ResponseCache {
  /** What is kept under an address; undefined where nothing is. */
  match(request: string): Promise<Response | undefined>;
  /** Keeps a response. */
  put(request: string, response: Response): Promise<void>;
  /** Gives one up; whether there was one. */
  delete(request: string): Promise<boolean>;
}

/**
 * A cache whose files of a bundle are held to its manifest.json before they are given: what is not as written, as that
 * of a bundle that was at the same address before, is deleted and not given, so that it is fetched again. Each is read
 * twice, once for its hash. For transformers.js, whose `env.fetch` does not see what a cache has: it is
 * `env.customCache` then, with `env.useCustomCache`. Everything outside of the bundle is given as it is.
 * @param bundle the URL of the bundle's folder, as for `verifiedFetch`.
 * @param cache such as `await caches.open('models')`.
 * @throws RuntimeError as `verifiedFetch` does.
 */
export async function verifiedCache(
  bundle: string | URL,
  cache: ResponseCache,
  options: FetchOptions = {},
): Promise<ResponseCache> {
  const address = new BundleAddress(bundle);
  const { files } = await readFileHashes(httpSource(address.base, options.fetch), options.signal);
  return {
    async match(request) {
      const found = await cache.match(request);
      const path = address.pathOf(request);
      if (!found || path === undefined) return found;
      const file = files.get(path);
      if (file && (await isSound(checkedChunks(chunksOf(found), file, absoluteUrl(request).href))))
        return cache.match(request);
      await cache.delete(request);
      return undefined;
    },
    put: (request, response) => cache.put(request, response),
    delete: (request) => cache.delete(request),
  };
}

/** Reads all of it. @throws what reading throws, but for what is not as written */
async function isSound(chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
  try {
    // it is read for its hash
    for await (const _ of chunks);
    return true;
  } catch (error) {
    if (error instanceof RuntimeError && error.code === 'damaged') return false;
    throw error;
  }
}
