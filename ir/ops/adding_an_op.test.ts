import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const document = read('docs/adding-an-op.md');

function read(file: string): string {
  return readFileSync(new URL(file, ROOT), 'utf8');
}

test('the document shows the code as it is', () => {
  const blocks = [...document.matchAll(/```ts (\S+)\n([^]*?)\n```/g)].map(([, file, code]) => ({
    file: file!,
    code: code!,
  }));
  expect(blocks.map(({ file }) => file)).toEqual([
    'ir/ops/gelu_tanh.ts',
    'ir/ops/take_last.ts',
    'backends/onnx/lower/shapes.ts',
  ]);
  for (const { file, code } of blocks) expect(read(file)).toContain(code);
});

/** Rows of the table of files: | `file` | touched | | who |. */
const rows = [...document.matchAll(/^\| `([^`]+)` \|(.*?)\|(.*?)\|.*\|$/gm)].map(([, file, first, second]) => ({
  file: file!,
  touched: { gelu_tanh: first!.trim() === 'touched', take_last: second!.trim() === 'touched' },
}));

/** `folder/**` is all that lies below it. */
function isAt(file: string, place: string): boolean {
  return place.endsWith('/**') ? file.startsWith(place.slice(0, -2)) : file === place;
}

/** Source that is no test and is not built for tests alone, but for what the document lists. */
const sources = ['ir', 'backends', 'verify', 'converter']
  .flatMap((room) =>
    readdirSync(new URL(room, ROOT), { recursive: true, encoding: 'utf8' }).map((file) => `${room}/${file}`),
  )
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .filter((file) => !file.includes('/testing/') || rows.some((row) => row.file === file));

test.each(['gelu_tanh', 'take_last'] as const)('files that name %s are those that the document lists', (op) => {
  const name = new RegExp(`\\bops\\.${op}\\b|'${op}'|^\\s*${op}[:,]`, 'm');
  const found = sources.filter((file) => name.test(read(file)));
  const listed = rows.filter(({ touched }) => touched[op]).map(({ file }) => file.replace('<op>', op));
  expect(found.filter((file) => !listed.some((pattern) => isAt(file, pattern)))).toEqual([]);
  expect(listed.filter((pattern) => !found.some((file) => isAt(file, pattern)))).toEqual([]);
});

test('every file that the document lists for further kinds is there', () => {
  const missing = rows.filter(({ file }) => !sources.some((source) => isAt(source, file.replace('<op>', 'gelu_tanh'))));
  expect(rows.length).toBeGreaterThan(10);
  expect(missing).toEqual([]);
});
