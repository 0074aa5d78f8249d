import { createReadStream, realpathSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** URL prefix (`/bundle/`) to the folder that is served under it. */
export type Folders = Readonly<Record<string, string>>;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.wasm': 'application/wasm',
  '.wgsl': 'text/plain; charset=utf-8',
};

/** Cross-origin isolation: without it there is no SharedArrayBuffer and so no WebAssembly thread. */
const ISOLATION = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

export interface StaticServer {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** Answers what is no file; false leaves a request to the folders. `path` is without the query. */
export type Answers = (path: string, request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * Serves folders on the loopback address, and an empty page at `/`; `answers` is asked before. GET, HEAD and single
 * byte ranges; the files of a folder and nothing outside it, whatever the path or a symbolic link says.
 */
export async function serveFolders(folders: Folders, answers?: Answers): Promise<StaticServer> {
  const roots = Object.entries(folders).map(([prefix, folder]) => ({ prefix, folder: realpathSync(folder) }));
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    if (answers?.((request.url ?? '/').split(/[?#]/, 1)[0]!, request, response)) return;
    answer(roots, request, response).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  });
  await new Promise<void>((done, fail) => server.once('error', fail).listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((done, fail) => {
        server.close((error) => (error ? fail(error) : done()));
        server.closeAllConnections();
      }),
  };
}

async function answer(
  roots: readonly { prefix: string; folder: string }[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return void response.writeHead(405, { allow: 'GET, HEAD' }).end();
  const raw = (request.url ?? '/').split(/[?#]/, 1)[0] ?? '/';
  if (raw === '/')
    return void response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      .end('<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">');
  const file = locate(roots, raw);
  if (!file) return void response.writeHead(404).end();

  const { size } = statSync(file);
  const range = rangeOf(request.headers.range, size);
  if (range === 'unsatisfiable') return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
  const { start, end } = range ?? { start: 0, end: size - 1 };
  response.writeHead(range ? 206 : 200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-length': end - start + 1,
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
    ...(range && { 'content-range': `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === 'HEAD' || size === 0) return void response.end();
  try {
    await pipeline(createReadStream(file, { start, end }), response);
  } catch (error) {
    // a page that goes away in the middle of a download is not an error of the server
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}

/** The file behind a URL path, or undefined when there is none or it lies outside of its folder. */
function locate(roots: readonly { prefix: string; folder: string }[], urlPath: string): string | undefined {
  const root = roots.find(({ prefix }) => urlPath.startsWith(prefix));
  if (!root) return undefined;
  try {
    const relative = decodeURIComponent(urlPath.slice(root.prefix.length));
    if (relative.includes('\0')) return undefined;
    const inside = resolve(root.folder, join('.', relative));
    const real = realpathSync(inside);
    return real.startsWith(root.folder + sep) && statSync(real).isFile() ? real : undefined;
  } catch {
    return undefined; // a path that does not decode, or no such file
  }
}

/** A `Range` header that asks for one range; others are ignored, as RFC 9110 allows. */
function rangeOf(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const suffix = match[1] === '';
  const start = suffix ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = suffix || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return start > end ? 'unsatisfiable' : { start, end };
}
