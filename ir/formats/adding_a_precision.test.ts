import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/* docs/adding-a-precision.md is held to the tree: its code, and the files that its worked example touches. */

const ROOT = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const guide = read('docs/adding-a-precision.md');

test('shows the code as it is', () => {
  const blocks = [...guide.matchAll(/```[tj]s (\S+)\n([^]*?)\n```/g)].map(([, file, code]) => ({
    file: file!,
    code: code!,
  }));
  expect(blocks.map(({ file }) => file)).toEqual([
    'ir/formats/nf4.ts',
    'ir/quantize/kernels/codes.js',
    'backends/wgsl/kernels/codebook_text.ts',
    'backends/tfjs/packed/plain_product.ts',
    'backends/onnx/index.ts',
  ]);
  for (const { file, code } of blocks) expect(read(file)).toContain(code);
});

/** Sources that name the format; tests, which may name any, and benchmarks apart. */
function sourcesThatName(format: string): readonly string[] {
  const all = execFileSync('git', ['ls-files', 'ir', 'backends', 'verify', 'converter'], {
    cwd: fileURLToPath(ROOT),
    encoding: 'utf8',
  });
  const named = new RegExp(String.raw`\b${format}\b`);
  return all
    .split('\n')
    .filter((path) => /\.(ts|js)$/.test(path) && !/\.test\.ts$|\/testing\//.test(path) && named.test(read(path)));
}

test('its checklist has every file that names nf4, and no other', () => {
  const checklist = guide.slice(guide.indexOf('## Checklist'));
  const files = [...checklist.matchAll(/`([a-z_/\d]+\.ts)`/g)].map(([, file]) => file!);
  const sources = sourcesThatName('nf4');
  expect(sources.length).toBeGreaterThan(5);
  expect(sources.filter((file) => !files.includes(file))).toEqual([]);
  // the checklist also says where tests are, and what tries a format without naming it
  const besides = ['backends/testing/op_cases.ts', 'ir/formats/nf4.test.ts', 'ir/quantize/quality.test.ts'];
  expect(files.filter((file) => !sources.includes(file) && !besides.includes(file))).toEqual([]);
});
