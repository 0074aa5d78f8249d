import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patternFile, publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import { checkBundle } from './check_bundle.ts';
import { claimOutput } from './claim.ts';
import { cleanFolder } from './clean.ts';
import { SILENT_MS } from './lock.ts';

const tempFolder = tempFolders();
const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid;
const publish = (out: string) => publishTo(out, { artifactFiles: [patternFile('a', 50)], manifest: () => testFields });
const DRAFT = '.report.html.0b4b0b9e-8c1d-4c9e-9a55-0a4bd6b4a2a1.tmp';

/** A folder with one of everything that a killed run leaves, a bundle, and files of its owner. */
async function leftovers(): Promise<string> {
  const dir = await tempFolder();
  await mkdir(join(dir, '.a.pgconv-new-t', 'bundle'), { recursive: true });
  await writeFile(join(dir, '.a.pgconv-new-t', 'bundle', 'weights'), new Uint8Array(1000));
  await writeFile(join(dir, '.b.pgconv-lock'), JSON.stringify({ pid: 1, host: 'elsewhere', started: '', token: 't' }));
  await publish(join(dir, 'c'));
  await rename(join(dir, 'c'), join(dir, '.c.pgconv-old'));
  await publish(join(dir, 'd'));
  await publish(join(dir, 'old'));
  await writeFile(join(dir, 'old', 'thesis.txt'), 'ten years of work');
  await rename(join(dir, 'old'), join(dir, '.d.pgconv-old'));
  await mkdir(join(dir, `.e.synth-${deadPid()}`));
  await mkdir(join(dir, `.f.synth-${process.pid}`));
  await writeFile(join(dir, DRAFT), 'half');
  const long = new Date(Date.now() - SILENT_MS - 1000);
  await utimes(join(dir, DRAFT), long, long);
  await writeFile(join(dir, DRAFT.replace('0b4b', 'ffff')), 'of a run that lives');
  await writeFile(join(dir, 'notes.tmp'), 'mine');
  await writeFile(join(dir, '.g.pgconv-notes'), 'mine');
  return dir;
}

const MINE = ['notes.tmp', '.g.pgconv-notes', `.f.synth-${process.pid}`, DRAFT.replace('0b4b', 'ffff')];

test('what the dead have left is removed or put back; what lives or is of others stays', async () => {
  const dir = await leftovers();
  const before = (await readdir(dir)).sort();
  const dry = await cleanFolder(dir, { dryRun: true });
  expect((await readdir(dir)).sort()).toEqual(before);
  const found = await cleanFolder(dir);
  const told = (all: typeof found) =>
    all
      .map(({ path, kind, state }) => `${path.slice(dir.length + 1).replace(/\d+$/, 'PID')}: ${kind}, ${state}`)
      .sort();
  expect(told(found)).toEqual([
    '.a.pgconv-new-t: unfinished bundle, removed',
    '.b.pgconv-lock: lock, in use',
    '.c.pgconv-old: replaced bundle, put back',
    '.d.pgconv-old: replaced bundle, removed',
    '.e.synth-PID: synthetic checkpoint, removed',
    `${DRAFT}: draft of a file, removed`,
  ]);
  expect(told(dry).map((line) => line.replace(/found$/, 'x'))).toEqual(
    told(found).map((line) => line.replace(/removed$|put back$/, 'x')),
  );
  expect(found.find(({ path }) => path.endsWith('new-t'))!.bytes).toBe(1000);
  expect((await readdir(dir)).sort()).toEqual(['.b.pgconv-lock', 'c', 'd', ...MINE].sort());
  await checkBundle(join(dir, 'c'));
  expect(await readFile(join(dir, 'd', 'thesis.txt'), 'utf8')).toBe('ten years of work');
  expect(found.find(({ path }) => path.endsWith('.d.pgconv-old'))!.kept).toEqual([join(dir, 'd', 'thesis.txt')]);
  expect(told(await cleanFolder(dir))).toEqual(['.b.pgconv-lock: lock, in use']);
});

test('what a run of now has is named with its process, and stays', async () => {
  const dir = await tempFolder();
  const claim = await claimOutput(join(dir, 'out'));
  const [found] = await cleanFolder(dir);
  expect(found).toMatchObject({ state: 'in use', by: `process ${process.pid} on ${hostname()}` });
  await claim.lock.check();
  await claim.release();
  expect(await cleanFolder(dir)).toEqual([]);
});

test('a folder that cannot be read is a typed error', async () => {
  await expect(cleanFolder(join(await tempFolder(), 'no'))).rejects.toMatchObject({ exitCode: 4 });
});

test('the only bundle is kept where something else came to its place', async () => {
  const dir = await tempFolder();
  await publish(join(dir, 'a'));
  await rename(join(dir, 'a'), join(dir, '.a.pgconv-old'));
  await mkdir(join(dir, 'a'));
  await writeFile(join(dir, 'a', 'mine'), '');
  const [found] = await cleanFolder(dir);
  expect(found!.kept).toContain(join(dir, 'a.replaced', 'a'));
  await checkBundle(join(dir, 'a.replaced'));
  expect((await readdir(dir)).sort()).toEqual(['a', 'a.replaced']);
});

test('files that a killed run had moved before are named as well', async () => {
  const dir = await tempFolder();
  for (const name of ['a', 'old']) await publish(join(dir, name));
  await writeFile(join(dir, 'a', 'moved.txt'), '');
  await writeFile(join(dir, 'old', 'left.txt'), '');
  await rename(join(dir, 'old'), join(dir, '.a.pgconv-old'));
  const [found] = await cleanFolder(dir);
  expect(found!.kept).toEqual([join(dir, 'a', 'left.txt'), join(dir, 'a', 'moved.txt')]);
});

test('a file where a bundle is moved to is a typed error that names it', async () => {
  const dir = await tempFolder();
  await publish(join(dir, 'a'));
  await writeFile(join(dir, '.a.pgconv-old'), 'mine');
  await expect(cleanFolder(dir)).rejects.toMatchObject({ code: 'exists', place: { file: join(dir, '.a.pgconv-old') } });
  expect(await readFile(join(dir, '.a.pgconv-old'), 'utf8')).toBe('mine');
});
