import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FileServer {
  readonly url: string;
  /** `path` with the Range header of every request. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export interface FileServerOptions {
  /** Whether it answers range requests; default true. */
  readonly ranges?: boolean;
  /** Called for every answer before it is given; it may give another, which it says by returning true. */
  readonly meddle?: (path: string, response: ServerResponse, body: Uint8Array) => boolean;
}

/** Serves files by their path below `/bundle/`. */
export async function serveFiles(
  files: ReadonlyMap<string, Uint8Array>,
  { ranges = true, meddle = () => false }: FileServerOptions = {},
): Promise<FileServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? '').replace('/bundle/', '').split('?', 1)[0]!);
    requests.push([path, request.headers.range].filter(Boolean).join(' '));
    const data = files.get(path);
    if (!data) return void response.writeHead(404).end();
    const range = ranges ? /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') : null;
    const start = Number(range?.[1] ?? 0);
    if (range && start >= data.length) return void response.writeHead(416).end();
    const body = range ? data.subarray(start, Number(range[2]) + 1) : data;
    if (meddle(path, response, body)) return;
    response
      .writeHead(range ? 206 : 200, {
        'content-length': body.length,
        ...(range && { 'content-range': `bytes ${start}-${start + body.length - 1}/${data.length}` }),
      })
      .end(body);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/bundle`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
