import type * as crypto from 'node:crypto';
import { EventEmitter } from 'node:events';
import { beforeEach, expect, test, vi } from 'vitest';
import type { WriterReply, WriterRequest } from './file_writer.ts';

/** What the thread did to its files and said, in order. */
const log: string[] = [];
const replies: WriterReply[] = [];
/** How the disk behaves. */
let takes = Infinity;
let failing: string | undefined;
/** Hashing what is as large as the disk's patience takes seconds. */
let hashes = true;

const port = Object.assign(new EventEmitter(), {
  postMessage(reply: WriterReply) {
    log.push(reply.kind);
    replies.push(reply);
  },
});

const step = async (name: string): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 1));
  log.push(name);
  if (failing === name) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
};

const written: Uint8Array[] = [];
const handle = {
  async write(bytes: Uint8Array, offset: number, length: number) {
    const bytesWritten = Math.min(length, takes);
    await step(`write ${bytesWritten}`);
    written.push(bytes.slice(offset, offset + Math.min(bytesWritten, 1000)));
    return { bytesWritten };
  },
  sync: () => step('sync'),
  datasync: () => step('datasync'),
  close: () => step('close'),
};

vi.mock('node:crypto', async (original) => ({
  ...(await original<object>()),
  createHash: (name: string) => (hashes ? createHash(name) : { update() {}, digest: () => 'none' }),
}));
vi.mock('node:worker_threads', async (original) => ({
  ...(await original<object>()),
  parentPort: port,
  workerData: { journal: undefined, flushBytes: 48 * 2 ** 20, faults: undefined },
}));
vi.mock('node:fs/promises', async (original) => ({
  ...(await original<object>()),
  open: async (path: string, flags: string) => {
    log.push(`open ${path} ${flags}`);
    return handle;
  },
}));

const { createHash } = await vi.importActual<typeof crypto>('node:crypto');
await import('./write_worker.js');

beforeEach(() => {
  log.length = replies.length = written.length = 0;
  takes = Infinity;
  failing = undefined;
  hashes = true;
});

async function tell(...requests: WriterRequest[]): Promise<void> {
  for (const request of requests) port.emit('message', request);
  await vi.waitFor(() => expect(log.some((entry) => entry === 'closed' || entry === 'failed')).toBe(true), {
    timeout: 20_000,
  });
}

const open = { kind: 'open', path: '/b/x', name: 'x', flushed: [] } as const;
const chunk = (bytes: Uint8Array) => ({ kind: 'chunk', bytes }) as const;
const close = { kind: 'close' } as const;

test('a file is on disk before it is said to be closed', async () => {
  await tell(open, chunk(Uint8Array.of(1, 2, 3)), chunk(Uint8Array.of(4)), close);
  expect(log).toEqual([
    'open /b/x wx',
    'opened',
    'write 3',
    'written',
    'write 1',
    'written',
    'sync',
    'close',
    'closed',
  ]);
  expect(replies.at(-1)).toEqual({
    kind: 'closed',
    path: '/b/x',
    bytes: 4,
    sha256: createHash('sha256')
      .update(Uint8Array.of(1, 2, 3, 4))
      .digest('hex'),
  });
});

test('a write that stops short goes on where it stopped', async () => {
  takes = 2;
  await tell(open, chunk(Uint8Array.of(1, 2, 3, 4, 5)), close);
  expect(log.filter((entry) => entry.startsWith('write '))).toEqual(['write 2', 'write 2', 'write 1']);
  expect(written.flatMap((bytes) => [...bytes])).toEqual([1, 2, 3, 4, 5]);
  expect(replies.at(-1)).toMatchObject({ kind: 'closed', bytes: 5 });
});

test('a disk that takes no more bytes is full', async () => {
  takes = 0;
  await tell(open, chunk(Uint8Array.of(1)));
  expect(replies.slice(1)).toEqual([
    { kind: 'failed', path: '/b/x', code: 'ENOSPC', message: 'the disk takes no more bytes' },
  ]);
});

test.each(['sync', 'close'])(
  'a file whose %s fails is not said to be closed, and its handle is given back',
  async (name) => {
    failing = name;
    await tell(open, chunk(Uint8Array.of(1)), close);
    expect(log.slice(-3)).toEqual(['sync', 'close', 'failed']);
    expect(replies.at(-1)).toMatchObject({ path: '/b/x', code: 'EIO' });
  },
);

test('a large file begins to be flushed while it is written, before it ends', async () => {
  hashes = false;
  const half = new Uint8Array(128 * 1024 * 1024);
  await tell(open, chunk(half), chunk(half), chunk(Uint8Array.of(1)), close);
  const at = (entry: string) => log.indexOf(entry);
  expect(log.filter((entry) => entry === 'datasync')).toHaveLength(2);
  expect(at('datasync')).toBeLessThan(at('sync'));
  expect(log.slice(-3)).toEqual(['sync', 'close', 'closed']);
});

test('a chunk for no file is refused', async () => {
  await tell(chunk(Uint8Array.of(1)));
  expect(replies[0]).toMatchObject({ kind: 'failed', message: 'no file is open' });
});
