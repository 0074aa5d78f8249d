import { RuntimeError } from '../errors.ts';
import { endsEarly, notFound, type BundleSource } from './source.ts';

/** Times that a file is asked for again from where it broke off. */
const RETRIES = 4;
const FIRST_PAUSE_MS = 200;

/** What `fetch` is called with here, and gives. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/**
 * Files below a URL. A download that breaks off goes on where it was, by a range request.
 * @param ask default the global `fetch`
 */
export function httpSource(base: URL, ask?: Fetch): BundleSource {
  const answered = (url: URL, init: RequestInit) => answer(ask ?? fetch, url, init);
  return {
    name: base.href,
    isRemote: true,
    async read(path, signal, fresh = false) {
      const response = await answered(new URL(path, base), {
        ...(signal && { signal }),
        ...(fresh && { cache: 'no-cache' }),
      });
      return new Uint8Array(await response.arrayBuffer());
    },
    async readRange(path, begin, end, signal) {
      const url = new URL(path, base);
      const response = await answered(url, {
        headers: { Range: `bytes=${begin}-${end - 1}` },
        ...(signal && { signal }),
      });
      const bytes = new Uint8Array(await response.arrayBuffer());
      // a server that knows no ranges sends all
      const own = response.status === 206 ? bytes : bytes.slice(begin, end);
      if (own.length < end - begin) throw endsEarly(url.href, begin + own.length, end);
      return own;
    },
    async *stream(path, byteLength, signal) {
      const url = new URL(path, base);
      for (let [at, failures] = [0, 0]; at < byteLength;) {
        try {
          const response = await answered(url, {
            headers: { Range: `bytes=${at}-${byteLength - 1}` },
            ...(signal && { signal }),
          });
          const total =
            response.status === 206 ? /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1] : undefined;
          if (total !== undefined && Number(total) !== byteLength)
            throw new RuntimeError(
              'damaged',
              `${url.href} should have ${byteLength} bytes and has ${total}`,
              'upload the bundle again',
            );
          // a server that knows no ranges begins again
          let skip = response.status === 206 ? 0 : at;
          const before = at;
          for await (const chunk of chunksOf(response)) {
            const rest = chunk.subarray(Math.min(skip, chunk.length));
            skip -= chunk.length - rest.length;
            at += rest.length;
            if (rest.length > 0) yield rest;
          }
          if (at === before)
            throw new RuntimeError(
              'damaged',
              `${url.href} ends after ${at} of ${byteLength} bytes`,
              'upload the bundle again',
            );
          failures = 0;
        } catch (error) {
          signal?.throwIfAborted();
          if (error instanceof RuntimeError && error.code !== 'network') throw error;
          if (++failures > RETRIES) throw error instanceof RuntimeError ? error : unreachable(url.href, error);
          await new Promise((resolve) => void setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (failures - 1)));
          signal?.throwIfAborted();
        }
      }
    },
  };
}

async function answer(ask: Fetch, url: URL, init: RequestInit): Promise<Response> {
  const response = await ask(url, init).catch((error: unknown) => {
    init.signal?.throwIfAborted();
    throw unreachable(url.href, error);
  });
  if (response.ok) return response;
  await response.body?.cancel();
  if (response.status === 416)
    throw new RuntimeError('damaged', `${url.href} is shorter than its manifest says`, 'upload the bundle again');
  if (response.status >= 500 || response.status === 429)
    throw new RuntimeError('network', `${url.href}: the server answers ${response.status}`, 'try again later');
  throw notFound(`${url.href} (${response.status})`);
}

/** A server that does not answer, or stops to. */
export function unreachable(url: string, cause: unknown): RuntimeError {
  return new RuntimeError(
    'network',
    `${url} cannot be reached`,
    'check the connection and that the server allows this page (CORS)',
    { cause },
  );
}

/** The bytes of an answer as they come: not every browser iterates over a stream itself. */
export async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array> {
  if (!body) return;
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
