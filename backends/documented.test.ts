import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { backendNames, findBackend } from './find_backend.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const doc = readFileSync(join(ROOT, 'docs/adding-a-backend.md'), 'utf8');

/** Members of an interface in a source text, which has them two spaces in. */
function membersOf(source: string, name: string): readonly string[] {
  const body = new RegExp(`export interface ${name} \\{\\n([^]*?)\\n\\}`).exec(source)![1]!;
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[(:]/gm)].map(([, member]) => member!);
}

/** What the tables of the document begin their lines with. */
const documented = [...doc.matchAll(/^\| `(\w+)(?:\([^)]*\))?` \|/gm)].map(([, member]) => member!);

test('docs/adding-a-backend.md has every member of the interface, and none that is not there', () => {
  const members = membersOf(readFileSync(join(ROOT, 'backends/backend.ts'), 'utf8'), 'Backend');
  expect(members.length).toBeGreaterThan(15);
  expect(documented.toSorted()).toEqual(members.toSorted());
});

test('every backend has members of the interface only', async () => {
  for (const name of backendNames())
    for (const member of Object.keys(await findBackend(name))) expect(documented).toContain(member);
});

test('the paths that it names are there', () => {
  const paths = [...doc.matchAll(/`((?:backends|converter)\/[\w./]+)`/g)].map(([, path]) => path!);
  expect(paths.length).toBeGreaterThan(8);
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
