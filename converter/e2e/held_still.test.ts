import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { convert } from '../compile/convert.ts';
import { PgconvError } from '../errors.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';

/*
 * A file of the input is edited while it is converted, with its times put back: any file, at any place, at any moment.
 * PGCONV_CHANGES says how often; `PGCONV_CHANGES=100 npx vitest run converter/e2e/held_still.test.ts` is promise P11's.
 */

const CHANGES = Number(process.env['PGCONV_CHANGES'] ?? 6);
const tempFolder = tempFolders();

/** A checkpoint, an adapter, pictures with prompts to calibrate on, and a tokenizer of the user's. */
async function makeInputs(): Promise<string> {
  const dir = await tempFolder();
  await cp('fixtures/shapes/hf', join(dir, 'hf'), { recursive: true });
  await cp('fixtures/shapes/lora-shapes', join(dir, 'adapter'), { recursive: true });
  await mkdir(join(dir, 'pictures'));
  await cp('fixtures/shapes/images/000.png', join(dir, 'pictures/a.png'));
  await writeFile(join(dir, 'pictures/a.txt'), 'caption en');
  await cp('fixtures/shapes/tokenizer.model', join(dir, 'own.model'));
  return dir;
}

/** Files that `convertAll` reads. */
async function readFiles(dir: string): Promise<readonly string[]> {
  const all = await readdir(dir, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile() && entry.name !== 'eval.json')
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
    .sort();
}

function convertAll(dir: string, out: string) {
  return convert(
    {
      checkpoint: join(dir, 'hf'),
      adapters: [{ dir: join(dir, 'adapter'), scale: 1 }],
      backend: 'onnx',
      precision: 'fp16',
      calibrate: join(dir, 'pictures'),
      tokenizer: join(dir, 'own.model'),
      verify: false,
      out,
    },
    silentReporter,
  );
}

/** sha256 of each file of a bundle, but of what names the folder. */
async function contentOf(out: string): Promise<readonly string[]> {
  const names = (await readdir(out, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  return Promise.all(
    names
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !/(?:manifest\.json|README\.md)$/.test(path))
      .sort()
      .map(async (path) =>
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      ),
  );
}

/** Flips a bit of a file after a while, in a thread, and puts the file's times back. */
const EDITOR = `
  const { openSync, fstatSync, readSync, writeSync, futimesSync, closeSync } = require('node:fs');
  const { parentPort, workerData: { path, at, delay } } = require('node:worker_threads');
  parentPort.on('message', () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delay);
    const file = openSync(path, 'r+');
    const { size, atime, mtime } = fstatSync(file);
    const byte = Buffer.alloc(1);
    const offset = Math.floor(at * size);
    readSync(file, byte, 0, 1, offset);
    byte[0] ^= 1;
    writeSync(file, byte, 0, 1, offset);
    futimesSync(file, atime, mtime);
    closeSync(file);
    process.exit(0);
  });
  parentPort.postMessage('ready');
`;

/** A generator of numbers in [0, 1) that are the same for every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test(
  `${CHANGES} edits of inputs, times put back: an error that names the file, or the bundle of one content`,
  async () => {
    const random = randomFrom(Number(process.env['PGCONV_SEED'] ?? 1));
    const sound = await makeInputs();
    await convertAll(sound, join(sound, 'warm'));
    const start = performance.now();
    await convertAll(sound, join(sound, 'out'));
    const usual = performance.now() - start;
    const before = await contentOf(join(sound, 'out'));
    const files = await readFiles(sound).then((all) => all.filter((path) => !/^(?:out|warm)/.test(path)));
    expect(files.length).toBeGreaterThan(9);

    const told: string[] = [];
    for (let number = 0; number < CHANGES; number++) {
      const dir = await makeInputs();
      const edited = files[Math.floor(random() * files.length)]!;
      const path = join(dir, edited);
      const { mtimeMs } = await stat(path);
      const workerData = { path, at: random(), delay: Math.round(random() * usual) };
      const editor = new Worker(EDITOR, { eval: true, workerData });
      await once(editor, 'message');
      const ended = once(editor, 'exit');
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
      editor.postMessage('go');
      const out = join(dir, 'out');
      const failure: unknown = await convertAll(dir, out).then(
        () => undefined,
        (error: unknown) => error,
      );
      await ended;
      expect((await stat(path)).mtimeMs).toBeCloseTo(mtimeMs, 0);
      const left = (await readdir(dir)).filter((name) => name.includes('out'));
      if (failure === undefined) {
        // it came before the file was opened, or after all was done
        const made = await contentOf(out);
        if (made.join() !== before.join()) {
          await convertAll(dir, join(dir, 'again'));
          expect(made, `${edited}, edit ${number}`).toEqual(await contentOf(join(dir, 'again')));
        }
        told.push('one content');
        continue;
      }
      if (!(failure instanceof PgconvError)) throw new Error('no typed error', { cause: failure });
      expect(failure.exitCode).toBe(3);
      expect(left).toEqual([]);
      if (failure.code === 'file_changed' || failure.code === 'source_changed') expect(failure.place.file).toBe(path);
      told.push(failure.code);
    }
    const counts = Object.fromEntries([...new Set(told)].map((code) => [code, told.filter((c) => c === code).length]));
    if (CHANGES > 20) console.log(JSON.stringify({ edits: CHANGES, usualMs: Math.round(usual), ...counts }));
    expect(told.filter((code) => code.endsWith('_changed')).length).toBeGreaterThan(CHANGES / 3);
  },
  60_000 + CHANGES * 20_000,
);
