import { spawn, spawnSync } from 'node:child_process';
import { readFile, readdir, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { patternFile, publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import { checkBundle } from './check_bundle.ts';
import { acquireLock, SILENT_MS } from './lock.ts';

const tempFolder = tempFolders();

/** Where pids of this process mean something. */
const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
const here = { host: hostname(), namespace, token: 't' };

/** The pid of a process that has ended. */
const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid;

test('a lock is held by one, tells who that is, and is free again after release', async () => {
  const path = join(await tempFolder(), 'lock');
  const lock = await acquireLock(path);
  await expect(acquireLock(path)).rejects.toMatchObject({
    code: 'locked',
    exitCode: 4,
    place: { file: path },
    message: expect.stringContaining(`process ${process.pid}`),
  });
  await lock.check();
  await lock.release();
  await (await acquireLock(path)).release();
  expect(await readdir(join(path, '..'))).toEqual([]);
});

test.each([
  ['of a dead process', () => ({ ...here, pid: deadPid(), started: '' })],
  ['of a process whose number lives again', () => ({ ...here, pid: process.pid, started: 'another boot:1' })],
])('a lock %s is taken over', async (_, holder) => {
  const path = join(await tempFolder(), 'lock');
  await writeFile(path, JSON.stringify(holder()));
  const lock = await acquireLock(path);
  expect(lock.tookOverSilent).toBe(false);
  await lock.release();
  expect(await readdir(join(path, '..'))).toEqual([]);
});

/** Says of a file that it is of so many milliseconds ago. */
const age = (path: string, ms: number) => utimes(path, new Date(), new Date(Date.now() - ms));

describe('a lock whose holder cannot be asked', () => {
  const elsewhere = { ...here, pid: 1, started: '' };

  test.each([
    ['of another machine', { ...elsewhere, host: 'elsewhere' }],
    ['of another container, dead or not', { ...elsewhere, namespace: 'pid:[1]' }],
  ])('%s is respected while it is heard of, and taken over in silence', async (_, holder) => {
    const path = join(await tempFolder(), 'lock');
    await writeFile(path, JSON.stringify(holder));
    await age(path, SILENT_MS - 60_000);
    await expect(acquireLock(path)).rejects.toMatchObject({ code: 'locked' });
    await age(path, SILENT_MS + 1000);
    const lock = await acquireLock(path);
    expect(lock.tookOverSilent).toBe(true);
    await lock.release();
  });

  test.skipIf(namespace === '')('of a suspended process is taken over, of one that runs is not', async () => {
    const path = join(await tempFolder(), 'lock');
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    onTestFinished(() => void child.kill('SIGKILL'));
    const started = `${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()}:${(await readFile(`/proc/${child.pid}/stat`, 'utf8')).split(' ')[21]}`;
    await writeFile(path, JSON.stringify({ ...here, pid: child.pid, started }));
    await age(path, SILENT_MS + 1000);
    await expect(acquireLock(path)).rejects.toMatchObject({ code: 'locked' });
    child.kill('SIGSTOP');
    await vi.waitFor(async () => expect((await readFile(`/proc/${child.pid}/stat`, 'utf8')).split(' ')[2]).toBe('T'), {
      timeout: 60_000,
    });
    const lock = await acquireLock(path);
    expect(lock.tookOverSilent).toBe(true);
    await lock.release();
  });
});

test('who holds a lock says so again and again', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const path = join(await tempFolder(), 'lock');
  const lock = await acquireLock(path);
  await age(path, SILENT_MS);
  await vi.advanceTimersByTimeAsync(20_000);
  await vi.waitFor(async () => expect(Date.now() - (await stat(path)).mtimeMs).toBeLessThan(SILENT_MS / 2), {
    timeout: 60_000,
  });
  await lock.release();
});

test.each([
  ['of another machine', JSON.stringify({ pid: 1, host: 'elsewhere', started: '', token: 't' })],
  ['that says nothing', ''],
  ['of something else', '[]'],
])('a lock %s is respected', async (_, content) => {
  const path = join(await tempFolder(), 'lock');
  await writeFile(path, content);
  await expect(acquireLock(path)).rejects.toMatchObject({ code: 'locked' });
  expect(await readFile(path, 'utf8')).toBe(content);
});

test('drafts of runs that were killed while they took the lock are removed, and those of the living stay', async () => {
  const dir = await tempFolder();
  const path = join(dir, 'lock');
  const dead = deadPid();
  const holder = { ...here, pid: dead, started: '' };
  await writeFile(`${path}.${dead}-1`, '{"pid"');
  await writeFile(`${path}.${dead}-2`, JSON.stringify(holder));
  await writeFile(`${path}.${process.pid}-3.stale`, JSON.stringify(holder));
  await writeFile(`${path}.${process.pid}-4`, JSON.stringify({ ...holder, pid: process.pid }));
  await writeFile(`${path}.somebody-else`, '');
  await (await acquireLock(path)).release();
  expect((await readdir(dir)).sort()).toEqual([`lock.${process.pid}-4`, 'lock.somebody-else']);
});

test('whoever lost the lock finds out, and does not release the lock of the next', async () => {
  const path = join(await tempFolder(), 'lock');
  const lock = await acquireLock(path);
  await writeFile(path, 'somebody else');
  const lost = { code: 'locked', message: expect.stringContaining('this run has lost its lock') };
  await expect(lock.check()).rejects.toMatchObject(lost);
  await lock.release();
  expect(await readFile(path, 'utf8')).toBe('somebody else');
  await rm(path);
  await expect(lock.check()).rejects.toMatchObject(lost);
});

test('of many that find a stale lock at once, one gets it', async () => {
  const dir = await tempFolder();
  const stale = JSON.stringify({ ...here, pid: deadPid(), started: '' });
  for (let race = 0; race < 50; race++) {
    const path = join(dir, `lock${race}`);
    await writeFile(path, stale);
    const locks = await Promise.allSettled(Array.from({ length: 4 }, () => acquireLock(path)));
    const held = await Promise.allSettled(locks.filter((l) => l.status === 'fulfilled').map((l) => l.value.check()));
    expect(held.filter((l) => l.status === 'fulfilled')).toHaveLength(1);
    for (const lost of locks) if (lost.status === 'rejected') expect(lost.reason).toMatchObject({ code: 'locked' });
  }
});

test('two runs on one output: one publishes, the other is told', async () => {
  const dir = await tempFolder();
  for (let race = 0; race < 8; race++) {
    const outDir = join(dir, `out${race}`);
    const run = (note: string) =>
      publishTo(outDir, {
        artifactFiles: [patternFile('a', 20_000)],
        manifest: () => ({ ...testFields, notes: [note] }),
      });
    const runs = await Promise.allSettled([run('0'), run('1')]);
    const winner = runs.findIndex((r) => r.status === 'fulfilled');
    expect(runs[1 - winner]).toMatchObject({
      status: 'rejected',
      reason: { code: expect.stringMatching(/^(locked|exists)$/), exitCode: 4 },
    });
    expect((await checkBundle(outDir)).manifest.notes).toEqual([String(winner)]);
  }
});
