import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { httpSource } from './http_source.ts';

const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const [path, total] = ['x.bin', CONTENT.length];

type Answer = (response: ServerResponse, from: number, to: number, request: IncomingMessage) => void;

/** What the server does for each request in turn; behind the last one it serves ranges as it should. */
let answers: Answer[] = [];
let asked: (string | undefined)[] = [];

const range: Answer = (response, from, to) => {
  response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${total}` });
  response.end(CONTENT.subarray(from, to));
};
const whole: Answer = (response) => response.end(CONTENT);
const status =
  (code: number): Answer =>
  (response) => {
    response.writeHead(code);
    response.end();
  };
/** Says that a range comes, sends some of it and hangs up. */
const breaksOff =
  (count: number): Answer =>
  (response, from, to) => {
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${total}`, 'content-length': to - from });
    response.write(CONTENT.subarray(from, from + count), () => setTimeout(() => response.destroy(), 20));
  };

const server = createServer((request, response) => {
  const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
  asked.push(request.headers.range);
  (answers.shift() ?? range)(response, Number(from ?? 0), from ? Number(to) + 1 : total, request);
});
let base = new URL('http://localhost');
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/b/`);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  answers = [];
  asked = [];
});

async function streamed(byteLength = total, signal?: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of httpSource(base).stream(path, byteLength, signal)) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

it('a whole file', async () => {
  answers = [whole];
  const source = httpSource(base);
  expect([source.isRemote, source.name]).toEqual([true, base.href]);
  expect(await source.read(path)).toEqual(CONTENT);
  expect(asked).toEqual([undefined]);
});

describe('a range', () => {
  it.each<[string, Answer[]]>([
    ['of a server that knows ranges', []],
    ['of one that sends all', [whole]],
  ])('%s', async (_, its) => {
    answers = its;
    expect(await httpSource(base).readRange(path, 10, 30)).toEqual(CONTENT.slice(10, 30));
    expect(asked).toEqual(['bytes=10-29']);
  });

  it.each<[string, Answer]>([
    ['sends all of a short file', (response) => response.end(CONTENT.subarray(0, 25))],
    ['sends less than was asked for', (response, from) => range(response, from, 25, undefined as never)],
  ])('of a server that %s is damaged', async (_, answer) => {
    answers = [answer];
    await expect(httpSource(base).readRange(path, 10, 30)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('ends after 25 bytes, and bytes up to 30') as string,
    });
  });
});

describe('a stream', () => {
  it('is one request where nothing goes wrong', async () => {
    expect(await streamed()).toEqual(CONTENT);
    expect(asked).toEqual(['bytes=0-999']);
  });

  it('goes on where it broke off', async () => {
    answers = [breaksOff(300), breaksOff(200)];
    expect(await streamed()).toEqual(CONTENT);
    expect(asked).toEqual(['bytes=0-999', 'bytes=300-999', 'bytes=500-999']);
  });

  it('of a server without ranges skips what it has', async () => {
    answers = [breaksOff(300), whole];
    expect(await streamed()).toEqual(CONTENT);
  });

  it.each([500, 503, 429])('asks again after %d', async (code) => {
    answers = [status(code)];
    expect(await streamed()).toEqual(CONTENT);
    expect(asked).toHaveLength(2);
  });

  it('gives up after five refusals in a row', async () => {
    answers = Array.from({ length: 9 }, () => status(500));
    const pauses: number[] = [];
    const wait = globalThis.setTimeout;
    // fetch has timers of its own
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((go: () => void, ms: number, ...more: unknown[]) => {
      const isPause = [200, 400, 800, 1600].includes(ms);
      if (isPause) pauses.push(ms);
      return wait(() => go(...(more as [])), isPause ? 1 : ms);
    }) as unknown as typeof setTimeout);
    await expect(streamed()).rejects.toMatchObject({ code: 'network' });
    vi.restoreAllMocks();
    expect(asked).toHaveLength(5);
    expect(pauses).toEqual([200, 400, 800, 1600]);
  });

  it('does not ask again for what is not there', async () => {
    answers = [status(404)];
    await expect(streamed()).rejects.toMatchObject({ code: 'not_found' });
    expect(asked).toHaveLength(1);
  });

  it.each<[string, Answer]>([
    ['that has another size', range],
    ['that ends where it stood', (response) => response.end()],
  ])('of a file %s is damaged', async (_, answer) => {
    answers = [answer];
    await expect(streamed(1001)).rejects.toMatchObject({ code: 'damaged' });
    expect(asked).toHaveLength(1);
  });

  it('of a file that is shorter than where it begins is damaged', async () => {
    answers = [status(416)];
    await expect(streamed()).rejects.toMatchObject({ code: 'damaged' });
  });

  it('stops when it is told to, also while it waits to ask again', async () => {
    const stop = new AbortController();
    answers = [
      (response) => {
        response.writeHead(500);
        response.end();
        setTimeout(() => stop.abort(new Error('no longer wanted')), 50);
      },
    ];
    await expect(streamed(total, stop.signal)).rejects.toThrow('no longer wanted');
    expect(asked).toHaveLength(1);
  });
});

it('a server that is not there cannot be reached', async () => {
  const nobody = createServer();
  await new Promise<void>((resolve) => nobody.listen(0, '127.0.0.1', resolve));
  const { port } = nobody.address() as AddressInfo;
  await new Promise((resolve) => nobody.close(resolve));
  await expect(httpSource(new URL(`http://127.0.0.1:${port}/`)).read(path)).rejects.toMatchObject({ code: 'network' });
});
