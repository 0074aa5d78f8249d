import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { readTree } from '../../verify/environment/markdown.ts';
import { runCommandLine } from '../cli/main.ts';
import { textOf, type Io } from '../cli/io.ts';
import { EXIT } from '../errors.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';
import { removeSoundBundles } from '../testing/hostile/bundle_inputs.ts';
import { HOSTILE_INPUTS } from '../testing/hostile/inputs.ts';

/* The table of docs/hostile-inputs.md, walked: each input is given to the command line as a user would give it. */

const folder = tempFolders();
const PAGE = 'docs/hostile-inputs.md';
/** The promise is a second; a busy machine takes several to load what reads, and what hangs takes minutes. */
const MOST_SECONDS = 30;
/** The promise. */
const MOST_BYTES = 64 * 1024 * 1024;

interface Said {
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly file?: string;
    readonly tensor?: string;
  };
}

async function answerTo(args: readonly string[]): Promise<{ exitCode: number; said: Said; told: string }> {
  const [out, err] = [[] as string[], [] as string[]];
  const io: Io = {
    out: (text) => out.push(textOf(text)),
    err: (text) => err.push(textOf(text)),
    reporter: () => ({ ...silentReporter, warn: (text) => err.push(text) }),
    signal: new AbortController().signal,
  };
  const exitCode = await runCommandLine([...args, '--json'], io);
  return { exitCode, said: JSON.parse(out.join('\n')) as Said, told: err.join('\n') };
}

beforeAll(() => answerTo(['inspect', 'fixtures/shapes/hf']));
afterAll(removeSoundBundles);

const rows = HOSTILE_INPUTS.flatMap(({ kind, inputs }) => inputs.map((input) => ({ kind, ...input })));

describe.each(HOSTILE_INPUTS)('$kind', ({ inputs }) => {
  const made = inputs.flatMap(({ input, outcome, make }) => (make ? [{ input, outcome, make }] : []));
  test.skipIf(made.length === 0).each(made)('$input', async ({ outcome, make }) => {
    const root = await folder();
    const dir = join(root, 'given');
    await mkdir(dir);
    const args = await make(dir, join(root, 'out'));
    const before = { memory: process.memoryUsage().rss, names: await readdir(root) };
    const start = performance.now();
    const { exitCode, said, told } = await answerTo(args);
    const seconds = (performance.now() - start) / 1000;
    if ('taken' in outcome) {
      expect(said.error).toBeUndefined();
      expect(exitCode).toBe(EXIT.done);
      if (outcome.taken.includes('warning')) expect(told + JSON.stringify(said)).toMatch(/warning|total_size|NaN/);
      return;
    }
    expect(said.error?.code, said.error?.message).toBe(outcome.code);
    expect([EXIT.usage, EXIT.badInput]).toContain(exitCode);
    expect(said.error!.hint).toMatch(/\w+ \w+/);
    expect(said.error!.file ?? said.error!.tensor).toMatch(/./);
    expect(seconds).toBeLessThan(MOST_SECONDS);
    // a conversion has loaded what converts
    if (args[0] === 'inspect') expect(process.memoryUsage().rss - before.memory).toBeLessThan(MOST_BYTES);
    expect(await readdir(root)).toEqual(before.names);
  });
});

describe(PAGE, () => {
  const table = rows.map(({ kind, input, outcome, by }, i) => {
    const what = 'code' in outcome ? `\`${outcome.code}\`` : outcome.taken;
    const shown = by ? `[${by[0].split('/').at(-1)!}](../${by[0]})` : 'the command line';
    return `| ${i + 1} | ${kind} | ${input.replaceAll('|', String.raw`\|`)} | ${what} | ${shown} |`;
  });

  it('lists every input, with what becomes of it', () => {
    const page = readTree(PAGE);
    const begin = page.indexOf('| 1 |');
    const end = page.indexOf('\n\n', begin);
    const rest = end === -1 ? '\n' : page.slice(end);
    const text = `${page.slice(0, begin)}${table.join('\n')}${rest}`;
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(PAGE, text);
    expect(page.slice(begin, end === -1 ? page.length - 1 : end)).toBe(table.join('\n'));
  });

  it('has codes that are those of the commands', () => {
    const known = readTree('docs/error-codes.md');
    const codes = rows.flatMap(({ outcome }) => ('code' in outcome ? [outcome.code] : []));
    expect(codes.filter((code) => !known.includes(`\`${code}\``))).toEqual([]);
  });

  it.each(rows.flatMap(({ input, by }) => (by ? [{ input, file: by[0], words: by[1] }] : [])))(
    '$input: $file shows it',
    ({ file, words }) => {
      expect(existsSync(file), file).toBe(true);
      expect(readFileSync(file, 'utf8')).toContain(words);
    },
  );

  it('says of each how it is shown', () => {
    expect(rows.filter(({ make, by }) => (make === undefined) === (by === undefined))).toEqual([]);
    expect(new Set(rows.map(({ kind, input }) => `${kind} ${input}`)).size).toBe(rows.length);
  });
});
