import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What only tests use, and what a generator wrote, needs no line of its own. */
const UNLISTED = new Set(['testing', 'generated', 'proto']);

/** Folders with sources, each with `/` at its end, as the map spells them. */
function foldersOf(folder: string): readonly string[] {
  const entries = readdirSync(join(ROOT, folder), { withFileTypes: true });
  const inside = entries.filter((entry) => entry.isDirectory() && !UNLISTED.has(entry.name));
  const below = inside.flatMap((entry) => foldersOf(`${folder}${entry.name}/`));
  return entries.some((entry) => /\.(ts|js)$/.test(entry.name)) ? [folder, ...below] : below;
}

/** Folders in the first column of a Markdown table. */
function listed(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^\| `([\w/]+\/)` \|/gm)].map(([, folder]) => folder!);
}

describe('the map in CONTRIBUTING.md', () => {
  const map = listed(readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8')).filter(
    (path) => !UNLISTED.has(path.split('/').at(-2)!),
  );

  it('has every folder once, and none that is not there', () => {
    const folders = ['ir/', 'backends/', 'verify/', 'converter/'].flatMap(foldersOf);
    expect(folders.length).toBeGreaterThan(40);
    expect([...map].sort()).toEqual([...folders].sort());
  });
});
