import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { apiOf, exportedNames } from './api_page.ts';
import { readTree } from './markdown.ts';

const PAGE = new URL('../../docs/api.md', import.meta.url);
const { exports } = JSON.parse(readTree('package.json')) as {
  readonly exports: Readonly<Record<string, { readonly types?: string }>>;
};

/** Sources of the entries of the package, by name. */
const entries = Object.entries(exports).flatMap(([name, { types }]) =>
  types === undefined
    ? []
    : [[name.replace(/^\.(?=\/|$)/, 'pgconv'), types.replace(/^\.\/dist\/(.*)\.d\.ts$/, '$1.ts')] as const],
);

/** A page before, between and behind `<!-- name -->` and `<!-- /name -->`. */
function parts(page: string, name: string): readonly [string, string, string] {
  const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`];
  const [from, to] = [page.indexOf(begin) + begin.length, page.indexOf(end)];
  return [page.slice(0, from), page.slice(from, to).trim(), page.slice(to)];
}

test.each(entries)('docs/api.md says of %s what its declarations say', (name, path) => {
  const written = apiOf(path);
  if (process.env['UPDATE_GOLDEN']) {
    const [before, , behind] = parts(readTree('docs/api.md'), name);
    writeFileSync(PAGE, `${before}\n${written}\n${behind}`);
  }
  expect(parts(readTree('docs/api.md'), name)[1]).toBe(written);
  for (const exported of exportedNames(path)) expect(written).toContain(`### ${exported}\n`);
});

test('every member that is exported has a docstring', () => {
  const silent = entries.flatMap(([name, path]) =>
    apiOf(path)
      .split(/^### .*, which is not exported$/m)[0]!
      .split('\n')
      .filter((line) => /^- `[^`]*`$/.test(line))
      .map((line) => `${name} ${line}`),
  );
  expect(silent).toEqual([]);
});
