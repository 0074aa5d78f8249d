import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { patternFile, publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import { testBuild } from '../testing/build.ts';
import { checkBundle } from '../bundle/check_bundle.ts';

const tempFolder = tempFolders();
const build = testBuild();

const { readdir, mkdir } = fsPromises;
/** Many small bundles are flushed below: in memory where the system offers that. */
const fast = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const publish = (outDir: string, note: string, force: boolean) =>
  publishTo(outDir, {
    artifactFiles: [patternFile('a', 100_000), patternFile('d/b', 5_000)],
    force,
    manifest: () => ({ ...testFields, notes: [note] }),
  });

/** What lies at the output: nothing, or the note of a bundle that is complete. Anything else throws. */
async function stateOf(dir: string): Promise<string | undefined> {
  if (!(await readdir(dir)).includes('out')) return undefined;
  return (await checkBundle(join(dir, 'out'))).manifest.notes[0];
}

/**
 * Runs `work` as if the machine stopped at the n-th change of the file system: nothing later reaches the disk. Tells
 * whether it got that far.
 */
async function crashAt(n: number, work: () => Promise<unknown>): Promise<boolean> {
  const changing = ['mkdir', 'rename', 'rm', 'link', 'writeFile', 'open'] as const;
  const functions: Record<string, unknown> = fsPromises;
  const saved = Object.fromEntries(changing.map((name) => [name, functions[name]]));
  let count = 0;
  for (const name of changing)
    functions[name] = (...args: readonly unknown[]) => {
      if (++count > n) return Promise.reject(new Error('the machine stopped'));
      return (saved[name] as (...args: readonly unknown[]) => unknown)(...args);
    };
  syncBuiltinESMExports();
  try {
    await work();
  } catch {
    // A run that ends well may still have lost its cleaning.
  } finally {
    Object.assign(fsPromises, saved);
    syncBuiltinESMExports();
  }
  return count > n;
}

test('a stop at any change of the file system leaves nothing, the old bundle or the new one, and the next run cleans up', async () => {
  const reached = { fresh: 0, swap: 0 };
  const seen = new Set<string>();
  for (const kind of ['fresh', 'swap'] as const) {
    for (let n = 0; ; n++) {
      const dir = await tempFolder(fast);
      const out = join(dir, 'out');
      if (kind === 'swap') await publish(out, 'old', false);
      const stopped = await crashAt(n, () => publish(out, 'new', kind === 'swap'));
      const state = await stateOf(dir);
      seen.add(`${kind}: ${state}`);
      expect(state).toBeOneOf(kind === 'swap' ? [undefined, 'old', 'new'] : [undefined, 'new']);
      // The lock is this process's, which lives: a real crash takes it along.
      await fsPromises.rm(join(dir, '.out.pgconv-lock'), { force: true });
      // An old bundle that was aside is back before the next run decides anything.
      if (kind === 'swap' && state === undefined)
        await expect(publish(out, 'next', false)).rejects.toMatchObject({ code: 'exists' });
      await publish(out, 'next', true);
      expect(await stateOf(dir)).toBe('next');
      expect((await readdir(dir)).filter((name) => !/pgconv-lock\..*/.test(name))).toEqual(['out']);
      if (!stopped) break;
      reached[kind]++;
    }
  }
  expect(reached.fresh).toBeGreaterThan(8);
  expect(reached.swap).toBeGreaterThan(reached.fresh);
  expect([...seen].sort()).toEqual(['fresh: new', 'fresh: undefined', 'swap: new', 'swap: old', 'swap: undefined']);
});

/** Publishes in a process of its own, again and again between two bundles, until it is killed. */
const script = (out: string, loops: number) => `
  import { claimOutput } from ${JSON.stringify(pathToFileURL(join(build, 'converter/bundle/claim.js')).href)};
  import { publishBundle } from ${JSON.stringify(pathToFileURL(join(build, 'converter/bundle/publish.js')).href)};
  const file = (path, byteLength) => ({ path, byteLength, async *chunks() { for (let at = 0; at < byteLength; at += 50000) yield { bytes: new Uint8Array(Math.min(50000, byteLength - at)).fill(at) }; } });
  for (let i = 0; i < ${loops}; i++) {
    console.log(i);
    const claim = await claimOutput(${JSON.stringify(out)}, true);
    try {
      await publishBundle({ artifactFiles: [file('a', 1000000), file('d/b', 20000)], claim, manifest: () => (${JSON.stringify({ ...testFields, notes: ['n'] })}) });
    } finally {
      await claim.release();
    }
  }
  console.log('end');`;

/** PGCONV_KILLS=200 for a long look. */
const KILLS = Number(process.env['PGCONV_KILLS'] ?? 6);

test(`SIGKILL at ${KILLS} moments never leaves half a bundle`, { timeout: 600_000 }, async () => {
  const dir = await tempFolder();
  const out = join(dir, 'out');
  let complete = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script(out, 1000)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // each time after another number of bundles
    await new Promise<void>((resolve) =>
      child.stdout.on('data', (text: Buffer) => text.toString().includes(String(kill % 3)) && resolve()),
    );
    await new Promise((resolve) => setTimeout(resolve, (kill * 37) % 250));
    child.kill('SIGKILL');
    const signal = await new Promise((resolve) => child.once('exit', (_, s) => resolve(s)));
    expect(signal).toBe('SIGKILL');
    if ((await stateOf(dir)) === 'n') complete++;
  }
  expect(complete).toBeGreaterThan(0);
  // The lock and the staging folder of the last dead run do not stop the next one.
  await publish(out, 'after', true);
  expect(await stateOf(dir)).toBe('after');
  expect(await readdir(dir)).toEqual(['out']);
});

test('a limit on the size of files is a typed error, and nothing is left', async () => {
  const dir = await tempFolder();
  const limited = `trap '' XFSZ; ulimit -f 100; exec "$0" --input-type=module -e "$1"`;
  const run = spawnSync('bash', ['-c', limited, process.execPath, script(join(dir, 'out'), 1)], { encoding: 'utf8' });
  expect(run.stderr).toContain("code: 'file_too_large'");
  expect(run.status).toBe(1);
  expect(await readdir(dir)).toEqual([]);
});

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;

test('a full disk in the middle is a typed error, and nothing is left', async (context) => {
  if (!canMount) context.skip('`unshare -rm` is not allowed here, so no small disk can be mounted');
  const dir = await tempFolder();
  const disk = join(dir, 'disk');
  await mkdir(disk);
  // The space goes away after the check: another program fills the disk meanwhile.
  const greedy = script(join(disk, 'out'), 1).replace(
    'async *chunks() {',
    'async *chunks() { fs.writeFileSync(' + JSON.stringify(join(disk, 'other')) + ', new Uint8Array(600000));',
  );
  const run = spawnSync(
    'unshare',
    [
      '-rm',
      'sh',
      '-c',
      `mount -t tmpfs -o size=1400k tmpfs ${disk} && "$0" --input-type=module -e "$1"; ls -A ${disk}`,
      process.execPath,
      `import fs from 'node:fs';${greedy}`,
    ],
    {
      encoding: 'utf8',
    },
  );
  expect(run.stderr).toContain("code: 'disk_full'");
  expect(run.stderr).toContain('cannot write: the disk is full');
  expect(run.stdout.trim().split('\n')).toEqual(['0', 'other']);
});
