import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COLUMNS = 120;
const GENERATED = /_pb\.ts$|^backends\/wgsl\/bundle\/generated\//;

/** Written by people: the formatter breaks their code at 120 columns, but neither comments nor strings. */
function sources(): readonly string[] {
  const tracked = execFileSync('git', ['ls-files', '*.ts', '*.js', '*.mjs'], { cwd: ROOT, encoding: 'utf8' });
  return tracked.split('\n').filter((path) => path !== '' && !GENERATED.test(path));
}

/** Whether a line is a comment, or code with one behind it. URLs cannot be wrapped. */
function isComment(line: string): boolean {
  return /^\s*(\/\*|\*|\/\/)|[;,{)]\s+\/\/ /.test(line) && !/https?:\/\/\S{40}/.test(line);
}

function longComments(path: string, text: string): readonly string[] {
  return text
    .split('\n')
    .flatMap((line, i) => ([...line].length > COLUMNS && isComment(line) ? [`${path}:${i + 1}`] : []));
}

describe('lines', () => {
  it(`of comments are at most ${COLUMNS} columns`, () => {
    const paths = sources();
    expect(paths.length).toBeGreaterThan(500);
    expect(paths.flatMap((path) => longComments(path, readFileSync(join(ROOT, path), 'utf8')))).toEqual([]);
  });

  it.each([
    ['a comment', `// ${'word '.repeat(30)}`, 1],
    ['a docstring', `  * ${'word '.repeat(30)}`, 1],
    ['a comment behind code', `const x = 1; // ${'word '.repeat(30)}`, 1],
    ['a short comment', '// word', 0],
    ['a string', `const x = '${'word '.repeat(30)}';`, 0],
    ['a URL', `// https://example.com/${'path/'.repeat(30)}`, 0],
  ])('%s', (_, line, found) => {
    expect(longComments('x.ts', line)).toHaveLength(found);
  });
});
