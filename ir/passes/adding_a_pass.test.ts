import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { checkGraph } from '../check.ts';
import { parseGraph } from '../parse.ts';
import { printGraph } from '../print.ts';
import { fuseAppendCache } from './index.ts';

/* docs/adding-a-pass.md is held to the tree: its code, its texts, and the files that its worked example touches. */

const ROOT = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const guide = read('docs/adding-a-pass.md');

test('shows the code as it is', () => {
  const blocks = [...guide.matchAll(/```ts (\S+)\n([^]*?)\n```/g)].map(([, file, code]) => [file!, code!] as const);
  expect(blocks.map(([file]) => file)).toEqual(['ir/passes/fuse_append_cache.ts']);
  for (const [file, code] of blocks) expect(read(file)).toContain(code);
});

test('the first of its graphs becomes the second', () => {
  const [before, after, ...rest] = [...guide.matchAll(/```ir\n([^]*?)```/g)].map(([, text]) => text!);
  expect(rest).toEqual([]);
  const graph = parseGraph(before!);
  checkGraph(graph);
  expect(printGraph(fuseAppendCache.run(graph))).toBe(after);
  const fixture = read('fixtures/passes/fuse_append_cache/caches.in.ir');
  for (const line of before!.split('\n').slice(0, -2)) expect(fixture).toContain(line);
});

test('its checklist has every file that names the pass, and no other', () => {
  const tracked = execFileSync('git', ['ls-files', 'ir', 'backends', 'verify', 'converter'], {
    cwd: fileURLToPath(ROOT),
    encoding: 'utf8',
  });
  const naming = tracked
    .split('\n')
    .filter((path) => path.endsWith('.ts') && /\bfuseAppendCache\b/.test(read(path)))
    .filter((path) => !path.endsWith('.test.ts') || path === 'ir/passes/golden.test.ts');
  const checklist = guide.slice(guide.indexOf('## Checklist'));
  const listed = [...checklist.matchAll(/`([\w/]+(?:\.test)?\.ts)`/g)].map(([, file]) => file!);
  expect(naming.length).toBeGreaterThan(4);
  expect(naming.filter((path) => !listed.includes(path))).toEqual([]);
  // and where other passes are listed
  const besides = ['backends/onnx/targets.ts', 'converter/e2e/bisect.test.ts', 'converter/precision/precision.ts'];
  for (const path of besides) expect(read(path)).toContain('ir/passes/index.ts');
  expect(listed.filter((path) => !naming.includes(path) && !besides.includes(path))).toEqual([]);
});
