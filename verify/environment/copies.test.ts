import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Lines of code that may not stand twice in a row: what is as long is one thing, and has one place. */
const LINES = 12;
/** Generated, tests, and what tests alone use. */
const LEFT_OUT = /_pb\.ts$|^backends\/wgsl\/bundle\/generated\/|\.test\.ts$|\/testing\//;

interface Line {
  readonly text: string;
  readonly place: string;
}

/** Lines that say something: no comments, imports, blank lines, or brackets alone. */
function codeOf(path: string, text: string): readonly Line[] {
  const silent = text.replaceAll(/^\s*\/\*[^]*?\*\/|^import [^;]*;/gm, (match) => match.replaceAll(/[^\n]/g, ''));
  return silent.split('\n').flatMap((line, i) => {
    const said = line.replace(/^\s*\/\/.*/, '').trim();
    return /\w/.test(said) ? [{ text: said, place: `${path}:${i + 1}` }] : [];
  });
}

/** Where runs of so many lines begin that stand somewhere before as well: one place for each stretch of them. */
function copies(files: ReadonlyMap<string, string>): readonly string[] {
  const first = new Map<string, string>();
  const found: string[] = [];
  for (const [path, text] of files) {
    const lines = codeOf(path, text);
    let inside = false;
    for (let i = 0; i + LINES <= lines.length; i++) {
      const run = lines.slice(i, i + LINES);
      const key = run.map((line) => line.text).join('\n');
      const before = first.get(key);
      if (before === undefined) first.set(key, run[0]!.place);
      else if (!inside) found.push(`${run[0]!.place} is ${before}`);
      inside = before !== undefined;
    }
  }
  return found;
}

function sources(): ReadonlyMap<string, string> {
  const tracked = execFileSync('git', ['ls-files', '*.ts', '*.js'], { cwd: ROOT, encoding: 'utf8' });
  const paths = tracked.split('\n').filter((path) => path !== '' && !LEFT_OUT.test(path));
  return new Map(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]));
}

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `  const x${from + i} = ${from + i};`).join('\n');

describe(`${LINES} lines of code`, () => {
  it('stand in one place', () => {
    const files = sources();
    expect(files.size).toBeGreaterThan(400);
    expect(copies(files)).toEqual([]);
  });

  it.each<readonly [string, string, readonly string[]]>([
    ['the same', `\n${lines(0, 12)}`, ['b.ts:2 is a.ts:1']],
    ['more of them', lines(0, 20), ['b.ts:1 is a.ts:1']],
    [
      'with comments, brackets and other indentation between',
      lines(0, 12).replaceAll('\n  ', '\n// x\n}\n\t'),
      ['b.ts:1 is a.ts:1'],
    ],
    ['one less', lines(1, 12), []],
    ['the same imports', `import {\n${'  y,\n'.repeat(12)}} from 'z';\n${lines(0, 11)}`, []],
  ])('%s', (_, text, expected) => {
    const known = `${lines(0, 20)}\nimport {\n${'  y,\n'.repeat(12)}} from 'z';\n`;
    expect(
      copies(
        new Map([
          ['a.ts', known],
          ['b.ts', text],
        ]),
      ),
    ).toEqual(expected);
  });
});
