import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveFolders, type StaticServer } from './static_server.ts';

let dir: string;
let server: StaticServer;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'pgconv-serve-'));
  mkdirSync(join(dir, 'public'));
  mkdirSync(join(dir, 'public-not'));
  writeFileSync(join(dir, 'secret'), 'secret');
  writeFileSync(join(dir, 'public-not', 'x'), 'secret');
  writeFileSync(join(dir, 'public', 'a b.mjs'), '0123456789');
  writeFileSync(join(dir, 'public', 'empty.bin'), '');
  symlinkSync(join(dir, 'secret'), join(dir, 'public', 'link'));
  server = await serveFolders({ '/files/': join(dir, 'public') });
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});

/** A request as it stands: fetch() would tidy the path up. */
function raw(path: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
    );
    let text = '';
    socket
      .on('data', (piece) => (text += piece.toString('latin1')))
      .on('end', () => done(text))
      .on('error', fail);
  });
}

describe('serveFolders', () => {
  it('serves a file with its type, isolated from other origins', async () => {
    const response = await fetch(`${server.url}/files/a%20b.mjs?v=1`);
    expect(await response.text()).toBe('0123456789');
    expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(response.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(response.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
  });

  it('serves an empty page and an empty file', async () => {
    expect((await fetch(server.url)).headers.get('content-type')).toContain('text/html');
    const empty = await fetch(`${server.url}/files/empty.bin`);
    expect([empty.status, await empty.text()]).toEqual([200, '']);
  });

  it.each([
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
    ['bytes=10-12', 416, '', 'bytes */10'],
    ['bytes=1-2,4-5', 200, '0123456789', null],
  ])('answers the range %s', async (range, status, body, contentRange) => {
    const response = await fetch(`${server.url}/files/a%20b.mjs`, { headers: { range } });
    expect([response.status, await response.text(), response.headers.get('content-range')]).toEqual([
      status,
      body,
      contentRange,
    ]);
  });

  it('answers HEAD with the length only, and refuses to be written to', async () => {
    const head = await fetch(`${server.url}/files/a%20b.mjs`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10', '']);
    expect((await fetch(`${server.url}/files/a%20b.mjs`, { method: 'PUT', body: 'x' })).status).toBe(405);
  });

  it.each([
    '/files/../secret',
    '/files/%2e%2e/secret',
    '/files/..%2fsecret',
    '/files//etc/passwd',
    '/files/..%2fpublic-not/x',
    '/files/link',
    '/files/%00',
    '/files/%zz',
    '/files/',
    '/secret',
    '/files/none',
  ])('has nothing at %s', async (path) => {
    const response = await raw(path);
    expect(response).toMatch(/^HTTP\/1\.1 404 /);
    expect(response).not.toContain('\r\n\r\nsecret');
  });
});
