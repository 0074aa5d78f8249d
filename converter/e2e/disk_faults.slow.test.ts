import { readdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { tensorData, tensorOf } from '../../ir/tensor.ts';
import { checkBundle } from '../bundle/check_bundle.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { writeIr } from '../compile/print_ir.ts';
import { setFaults } from '../disk.js';
import { OutputError } from '../errors.ts';
import { drawBoxes } from '../images/draw.ts';
import { writeScript } from '../record/write_script.ts';
import { writeBaseline } from '../report/baseline_file.ts';
import { writeReports } from '../report/write_reports.ts';
import { measured, soundReport } from '../report/testing/reports.ts';
import { writeSynthetic } from '../synth/synth.ts';
import { patternFile, publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import { TINY_2 } from '../testing/tiny_config.ts';

/*
 * Everything that pgconv writes goes through disk.js. Here each of its calls fails once, in each way that disks have.
 * An unhandled rejection in any thread fails the run.
 */

const tempFolder = tempFolders();
/** Many small files are flushed below: in memory where the system offers that. */
const fast = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const CODES = ['ENOSPC', 'EIO', 'EDQUOT'] as const;

const bundle = (dir: string, note: string, sources: string) =>
  publishTo(join(dir, 'out'), {
    artifactFiles: [patternFile('a', 100_000), patternFile('d/b', 50_000), patternFile('c', 10)],
    force: true,
    manifest: () => ({ ...testFields, notes: [note] }),
    resume: { command: 'a'.repeat(64), sources: sources.repeat(64) },
    flushBytes: 60_000,
  });

/** What is written into a folder, and what must be there when it was. */
interface Writer {
  readonly prepare?: (dir: string) => Promise<unknown>;
  readonly write: (dir: string) => Promise<unknown>;
  /** Throws when what lies there is neither what lay there before nor what was to be written. @returns which */
  readonly state: (dir: string) => Promise<'before' | 'after'>;
}

/** A file whose old content is a word. */
const fileWriter = (name: string, write: (path: string) => Promise<unknown>): Writer => ({
  prepare: (dir) => writeFile(join(dir, name), 'before'),
  write: (dir) => write(join(dir, name)),
  state: async (dir) => ((await readFile(join(dir, name), 'utf8')) === 'before' ? 'before' : 'after'),
});

/** A file or a folder that is new. */
const newWriter = (name: string, write: (path: string) => Promise<unknown>): Writer => ({
  write: (dir) => write(join(dir, name)),
  state: async (dir) => (existsSync(join(dir, name)) ? 'after' : 'before'),
});

const WRITERS: Readonly<Record<string, Writer>> = {
  'a bundle': {
    write: (dir) => bundle(dir, 'new', 'b'),
    state: async (dir) => {
      if (!existsSync(join(dir, 'out'))) return 'before';
      await checkBundle(join(dir, 'out'));
      return 'after';
    },
  },
  'a bundle in the place of another, with a file of its owner': {
    prepare: async (dir) => {
      await bundle(dir, 'old', 'a');
      await writeFile(join(dir, 'out', 'thesis.txt'), 'ten years of work');
    },
    write: (dir) => bundle(dir, 'new', 'b'),
    state: async (dir) => {
      const places = (await readdir(dir, { recursive: true })).filter((path) => basename(path) === 'thesis.txt');
      expect(places).toHaveLength(1);
      const at = existsSync(join(dir, 'out')) ? 'out' : '.out.pgconv-old';
      return (await checkBundle(join(dir, at))).manifest.notes[0] === 'new' ? 'after' : 'before';
    },
  },
  'a report': fileWriter('report.html', async (html) => {
    const [unwritten] = await writeReports({ html }, { bundle: 'b', report: soundReport });
    if (unwritten) throw unwritten.error;
  }),
  'a baseline': fileWriter('baseline.json', (path) =>
    writeBaseline(path, { candidate: 'c', ...measured, figures: [{ case: 'a', output: 'b', metrics: {} }] }),
  ),
  'a picture': fileWriter('boxes.png', (path) =>
    drawBoxes({ width: 2, height: 2, data: new Uint8Array(12) }, [], path),
  ),
  'a file of weights': newWriter('w.safetensors', (path) =>
    writeSafetensors(path, [{ name: 'w', data: tensorData(tensorOf('f32', [3], [1, 2, 3])) }]),
  ),
  'a synthetic checkpoint': newWriter('hf', (out) =>
    writeSynthetic(TINY_2, { variant: 'tiny', format: 'hf', dtype: 'bf16', out }),
  ),
  'a synthetic npz': newWriter('npz', (out) =>
    writeSynthetic(TINY_2, { variant: 'tiny', format: 'npz', dtype: 'bf16', out }),
  ),
  'a script': fileWriter('record.py', (path) => writeScript(path, { force: true })),
  'the text of graphs': newWriter('out.ir', (dir) => writeIr(dir, new Map([['decoder/00.ir', 'graph']]))),
};

/** Runs `work` with the n-th of its calls failing. @returns the calls that there were, and what it threw */
async function withFault(failAt: number, code: string, work: () => Promise<unknown>) {
  const counter = new Int32Array(new SharedArrayBuffer(4));
  setFaults({ counter, failAt, code });
  try {
    const error = await work().then(
      () => undefined,
      (failure: unknown) => failure,
    );
    return { calls: counter[0]!, error };
  } finally {
    setFaults(undefined);
  }
}

describe.each(Object.entries(WRITERS))('%s', (name, { prepare, write, state }) => {
  test('each call fails once: a typed error, the old or the new whole, and the next try does it', async () => {
    onTestFinished(() => setFaults(undefined));
    let failed = 0;
    for (let n = 0; ; n++) {
      const dir = await tempFolder(fast);
      await prepare?.(dir);
      const before = await readdir(dir);
      const { calls, error } = await withFault(n, CODES[n % CODES.length]!, () => write(dir));
      const found = await state(dir);
      if (error === undefined) expect(found).toBe('after');
      else {
        failed++;
        expect(error).toBeInstanceOf(OutputError);
        expect(error).toMatchObject({ exitCode: 4 });
        // nothing but what the next run goes on with or removes
        const left = (await readdir(dir)).filter(
          (entry) => !before.includes(entry) && !entry.startsWith('.out.pgconv-'),
        );
        expect(left.filter((entry) => !(found === 'after' && entry === 'out'))).toEqual([]);
      }
      if (found === 'before' || name.startsWith('a bundle')) {
        await write(dir);
        expect(await state(dir)).toBe('after');
      }
      if (name.startsWith('a bundle'))
        expect((await readdir(dir)).filter((entry) => !/lock\./.test(entry))).toEqual(['out']);
      if (n >= calls) break;
    }
    expect(failed).toBeGreaterThan(name === 'a script' ? 0 : 2);
  });
});
