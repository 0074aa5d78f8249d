import { spawnSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patternFile, tempFolders, testFields } from '../testing/bundle.ts';
import { checkBundle } from './check_bundle.ts';
import { acquireLock } from './lock.ts';
import { publishBundle } from './publish.ts';

const tempFolder = tempFolders();

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
  ['of a dead process', () => ({ pid: deadPid(), host: hostname(), started: '', token: 't' })],
  [
    'of a process whose number lives again',
    () => ({ pid: process.pid, host: hostname(), started: 'another boot:1', token: 't' }),
  ],
])('a lock %s is taken over', async (_, holder) => {
  const path = join(await tempFolder(), 'lock');
  await writeFile(path, JSON.stringify(holder()));
  const lock = await acquireLock(path);
  await lock.release();
  expect(await readdir(join(path, '..'))).toEqual([]);
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
  const holder = { pid: dead, host: hostname(), started: '', token: 't' };
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
  await expect(lock.check()).rejects.toMatchObject({ code: 'locked' });
  await lock.release();
  expect(await readFile(path, 'utf8')).toBe('somebody else');
});

test('of many that find a stale lock at once, one gets it', async () => {
  const dir = await tempFolder();
  const stale = JSON.stringify({ pid: deadPid(), host: hostname(), started: '', token: 't' });
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
      publishBundle({
        artifactFiles: [patternFile('a', 20_000)],
        outDir,
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
