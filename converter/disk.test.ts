import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolders, placeOf, replaceFile, tryReplace } from './disk.js';
import { tempFolders } from './testing/bundle.ts';

const folder = tempFolders();

describe('folders', () => {
  it('are made with those above them, and told', async () => {
    const dir = await folder();
    expect(await makeFolders(join(dir, 'a/b'))).toEqual([join(dir, 'a'), join(dir, 'a/b')]);
    expect(await makeFolders(join(dir, 'a/b'))).toEqual([]);
    const both = await Promise.all([makeFolders(join(dir, 'x/y/z')), makeFolders(join(dir, 'x/y/z'))]);
    expect(new Set(both.flat())).toEqual(new Set([join(dir, 'x'), join(dir, 'x/y'), join(dir, 'x/y/z')]));
  });

  it('are not made below a file', async () => {
    const dir = await folder();
    await writeFile(join(dir, 'file'), '');
    for (const path of ['file', 'file/a', 'file/a/b'])
      await expect(makeFolders(join(dir, path)), path).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  // where Node's own recursive mkdir never comes back
  it.runIf(process.platform === 'linux')('are refused where the file system takes none', async () => {
    await expect(makeFolders('/proc/pgconv/a/b')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the place of a path', () => {
  it('is behind its links, also those to nothing, and behind folders that are not there', async () => {
    const dir = await placeOf(await folder());
    await mkdir(join(dir, 'real'));
    await symlink('real', join(dir, 'link'));
    await symlink('../real/none', join(dir, 'real/dangling'));
    await symlink('loop', join(dir, 'loop'));
    const places = {
      'real/x': 'real/x',
      'link/x': 'real/x',
      'link/a/b': 'real/a/b',
      'link/dangling': 'real/none',
      'link/../x': 'x',
      loop: 'loop',
    };
    for (const [path, place] of Object.entries(places)) expect(await placeOf(`${dir}/${path}`)).toBe(join(dir, place));
    expect(await placeOf('none/x')).toBe(join(await placeOf('.'), 'none/x'));
  });
});

describe('a file that takes the place of another', () => {
  it('is behind a link the one that it names', async () => {
    const dir = await folder();
    await writeFile(join(dir, 'file'), 'old');
    await symlink('file', join(dir, 'link'));
    await symlink('none', join(dir, 'dangling'));
    await replaceFile(join(dir, 'link'), 'new');
    await replaceFile(join(dir, 'dangling'), 'made');
    expect(await readFile(join(dir, 'file'), 'utf8')).toBe('new');
    expect(await readFile(join(dir, 'none'), 'utf8')).toBe('made');
    expect((await readdir(dir)).toSorted()).toEqual(['dangling', 'file', 'link', 'none']);
  });

  it('can be tried before, and nothing stays', async () => {
    const dir = await folder();
    await writeFile(join(dir, 'file'), 'as it was');
    await mkdir(join(dir, 'folder'));
    await tryReplace(join(dir, 'file'));
    await tryReplace(join(dir, 'new'));
    const refused = { folder: 'EISDIR', 'none/x': 'ENOENT', 'file/x': 'ENOTDIR', ['x'.repeat(300)]: 'ENAMETOOLONG' };
    for (const [path, code] of Object.entries(refused))
      await expect(tryReplace(join(dir, path)), path).rejects.toMatchObject({ code });
    expect((await readdir(dir)).toSorted()).toEqual(['file', 'folder']);
    expect(await readFile(join(dir, 'file'), 'utf8')).toBe('as it was');
  });

  it.runIf(process.platform !== 'win32')('is written to where it is a device', async () => {
    await tryReplace('/dev/null');
    await replaceFile('/dev/null', 'x');
    await tryReplace('/dev/stderr');
    expect(await placeOf('/dev/stderr')).toBe('/dev/stderr');
  });
});
