import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** A folder for `--calibrate` with the first `count` cases of a fixture: a tenth of the time that all of them take. */
export async function writeFewCases(fixture: string, dir: string, count: number): Promise<string> {
  const { cases } = JSON.parse(await readFile(join(fixture, 'eval.json'), 'utf8')) as { cases: readonly object[] };
  await mkdir(dir);
  await symlink(resolve(fixture, 'images'), join(dir, 'images'));
  await writeFile(join(dir, 'eval.json'), JSON.stringify({ cases: cases.slice(0, count) }));
  return dir;
}
