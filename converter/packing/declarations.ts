import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';

const IMPORT = /\b(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g;

/**
 * Copies declarations from one build to another: those of `entry` and all that they speak of. All of them
 * are a fourth of the package, and nobody can import the others. Returns the texts.
 */
export async function copyDeclarations(entry: string, from: string, to: string): Promise<readonly string[]> {
  const reached = new Set([entry]);
  const texts: string[] = [];
  // a set grows while it is walked
  for (const path of reached) {
    const text = await readFile(join(from, path), 'utf8');
    texts.push(text);
    for (const [, name] of text.matchAll(IMPORT))
      reached.add(posix.join(posix.dirname(path), name!.replace(/\.[jt]s$/, '.d.ts')));
    await mkdir(dirname(join(to, path)), { recursive: true });
    await copyFile(join(from, path), join(to, path));
  }
  return texts;
}
