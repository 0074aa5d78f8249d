import { RuntimeError } from '../errors.ts';
import { chunksOf, httpSource, unreachable, type Fetch } from '../sources/http_source.ts';
import { BundleAddress } from './bundle_address.ts';
import { checkedChunks, checkWhole, notAsWritten } from './checked_chunks.ts';
import { HASHES_PATH, readFileHashes, type FileHash } from './file_hashes.ts';

export type { Fetch } from '../sources/http_source.ts';

export interface FetchOptions {
  /** What asks the server, for headers or proxies of your own; default the global `fetch`. */
  readonly fetch?: Fetch;
  /** Ends the reading of manifest.json: its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** A `fetch` by which the files of a bundle are what was written. */
export interface VerifiedFetch extends Fetch {
  /**
   * What `loading` comes to, or the error of the first file that could not be given, as soon as there is one:
   * transformers.js waits for ever for a file of weights that fails.
   */
  orFail<T>(loading: Promise<T>): Promise<T>;
}

/**
 * A `fetch` that holds the files of a bundle to its manifest.json as they stream by; no file is held for it. For
 * transformers.js it is `env.fetch`, and whoever gives bytes to onnxruntime-web gets them by it. Reading the body of a
 * file that is not as written, or does not come, throws a RuntimeError with its name (`damaged`, `network`), before the
 * last bytes of it are given: as an answer and not as a rejected call, which transformers.js takes for an optional file
 * that is not there. What manifest.json does not list is answered with 404 and not asked for. Of a range (206) only the
 * size of the whole is checked. Everything outside of the bundle is fetched as ever.
 * @param bundle the URL of the bundle's folder; in a page it may be relative.
 * @throws RuntimeError `bad_input` for what is no such URL; of manifest.json `not_found`, `network`, `damaged`,
 * `newer_version`; the signal's reason.
 */
export async function verifiedFetch(bundle: string | URL, options: FetchOptions = {}): Promise<VerifiedFetch> {
  const { fetch: ask, signal } = options;
  const address = new BundleAddress(bundle);
  const { files, manifest } = await readFileHashes(httpSource(address.base, ask), signal);
  let fail: (error: unknown) => void = () => {};
  const failure = new Promise<never>((_, reject) => (fail = reject));
  // it is told where a body is read
  failure.catch(() => {});
  const verified: Fetch = async (input, init) => {
    const isRequest = typeof input === 'object' && 'url' in input;
    const url = isRequest ? input.url : String(input);
    const method = (init?.method ?? (isRequest ? input.method : 'GET')).toUpperCase();
    const request = () => (ask ?? fetch)(input, init);
    const path = address.pathOf(url);
    if (path === undefined || (method !== 'GET' && method !== 'HEAD')) return request();
    if (path === HASHES_PATH)
      return new Response(manifest.slice(), { headers: { 'content-type': 'application/json' } });
    const file = files.get(path);
    if (!file) return new Response(null, { status: 404, statusText: `Not listed in ${HASHES_PATH}` });
    const name = new URL(path, address.base).href;
    const isEnded = () => (init?.signal ?? (isRequest ? input.signal : undefined))?.aborted === true;
    const told: Told = (error) => {
      if (isEnded()) return error;
      const meant = error instanceof RuntimeError ? error : unreachable(name, error);
      fail(meant);
      return meant;
    };
    let response: Response;
    try {
      response = await request();
    } catch (error) {
      if (isEnded()) throw error;
      return failing(error, told);
    }
    if (response.status === 304 || method === 'HEAD') return response;
    const problem = problemOf(response, file, name);
    if (problem) {
      void response.body?.cancel();
      return failing(problem, told);
    }
    return response.status === 206 ? response : held(response, file, name, told);
  };
  return Object.assign(verified, { orFail: <T>(loading: Promise<T>) => Promise.race([failure, loading]) });
}

/** What can be known before a body is read: of a part of a file, how long the whole is. */
function problemOf({ ok, status, headers }: Response, { bytes }: FileHash, name: string): RuntimeError | undefined {
  if (status === 404) return notAsWritten(name, 'it is missing (404)');
  if (!ok) return new RuntimeError('network', `${name}: the server answers ${status}`, 'try again later');
  const total = status === 206 ? /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] : undefined;
  if (total === undefined || Number(total) === bytes) return undefined;
  return notAsWritten(name, `it has ${total} bytes in place of ${bytes}`);
}

/** What reading came to, as an error of the file, where it was not the caller who has ended it. */
type Told = (error: unknown) => unknown;

/** Ways to read all of a body at once: nobody has less than all of it then. */
const WHOLE_BODY = ['arrayBuffer', 'bytes', 'blob', 'json', 'text'] as const;

/**
 * The same answer, whose body is checked as it streams by. Who asks for all of it at once has it whole anyway: then
 * it is hashed whole, which browsers do several times as fast. They would also tell of a stream that fails nothing but
 * "Failed to fetch".
 */
function held(response: Response, file: FileHash, name: string, told: Told): Response {
  const { status, statusText, headers, url } = response;
  const body = streamOf(checkedChunks(chunksOf(response), file, name), told);
  const answer = new Response(body, { status, statusText, headers });
  Object.defineProperty(answer, 'url', { value: url });
  const all = async (): Promise<Uint8Array<ArrayBuffer>> => {
    if (body.locked || answer.bodyUsed) throw new TypeError(`the body of ${name} has been read`);
    await body.cancel();
    try {
      const bytes = new Uint8Array(await response.arrayBuffer());
      await checkWhole(bytes, file, name);
      return bytes;
    } catch (error) {
      throw told(error);
    }
  };
  return withBody(answer, all);
}

/** An answer that cannot be read. */
function failing(error: unknown, told: Told): Response {
  const body = new ReadableStream<Uint8Array>(
    { pull: (controller) => controller.error(told(error)) },
    { highWaterMark: 0 },
  );
  return withBody(new Response(body), async () => {
    throw told(error);
  });
}

/** The answer, whose body as a whole is what `all` gives. */
function withBody(answer: Response, all: () => Promise<Uint8Array<ArrayBuffer>>): Response {
  const { headers } = answer;
  for (const name of WHOLE_BODY)
    Object.defineProperty(answer, name, {
      value: async () => {
        const bytes = await all();
        if (name === 'arrayBuffer') return bytes.buffer;
        return name === 'bytes' ? bytes : new Response(bytes, { headers })[name]();
      },
    });
  return answer;
}

function streamOf(chunks: AsyncGenerator<Uint8Array>, told: Told): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          controller.error(told(error));
        }
      },
      async cancel() {
        await chunks.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}
