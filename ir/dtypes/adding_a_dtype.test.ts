import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/* docs/adding-a-dtype.md is held to the tree: its code, and the files that its worked example touches. */

const ROOT = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const guide = read('docs/adding-a-dtype.md');

test('shows the code as it is', () => {
  const blocks = [...guide.matchAll(/```ts (\S+)\n([^]*?)\n```/g)].map(([, file, code]) => [file!, code!] as const);
  expect(blocks.map(([file]) => file)).toEqual(['ir/dtypes/bf16.ts']);
  for (const [file, code] of blocks) expect(read(file)).toContain(code);
});

/**
 * Sources that name bf16 outside of comments; tests, benchmarks, what packs, generated code and examples of help texts
 * apart.
 */
function sourcesThatNameIt(): readonly string[] {
  const tracked = execFileSync('git', ['ls-files', 'ir', 'backends', 'verify', 'converter'], {
    cwd: fileURLToPath(ROOT),
    encoding: 'utf8',
  });
  return tracked
    .split('\n')
    .filter((path) => /\.(ts|js)$/.test(path) && !/\.test\.ts$|\/testing\/|\/(?:bench|packing)\/|_pb\.ts$/.test(path))
    .filter((path) => !/^converter\/cli\/help\/(?!precision)/.test(path))
    .filter((path) => /\bbf16\b/.test(read(path).replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '')));
}

test('its checklist has every file that names bf16, and no other', () => {
  const checklist = guide.slice(guide.indexOf('## Checklist'));
  const listed = [...checklist.matchAll(/`([\w/]+(?:\.test)?\.[tj]s)`/g)].map(([, file]) => file!);
  const sources = sourcesThatNameIt();
  expect(sources.length).toBeGreaterThan(20);
  expect(sources.filter((path) => !listed.includes(path))).toEqual([]);
  expect(listed.filter((path) => !path.endsWith('.test.ts') && !sources.includes(path))).toEqual([]);
});
