import { link, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { tempFolders } from '../testing/bundle.ts';
import { prepareOutputs } from './output_files.ts';

const folder = tempFolders();
let dir: string;
const at = (path: string) => join(dir, path);

beforeEach(async () => {
  dir = await folder();
  await mkdir(at('bundle/onnx'), { recursive: true });
  await writeFile(at('bundle/onnx/model.onnx'), 'graph');
  await writeFile(at('weights'), 'weights');
  await symlink('bundle', at('alias'));
  await symlink('weights', at('soft'));
  await link(at('weights'), at('hard'));
});

/** `prepareOutputs` of files by option, in a folder with a bundle and a file that is read. */
function prepare(files: Readonly<Record<string, string>>): Promise<() => Promise<void>> {
  return prepareOutputs(
    Object.entries(files).map(([option, path]) => ({
      option: `--${option}`,
      path: path.startsWith('/') ? path : at(path),
    })),
    { reads: [{ path: at('weights'), of: 'the checkpoint' }], bundles: [at('bundle'), at('new')] },
  );
}

describe('files that a command writes', () => {
  it.each([
    ['one name twice', { html: 'x', junit: 'x' }],
    ['one name, spelled otherwise', { html: 'x', junit: 'a/.././x' }],
    ['a link and what it names, which is not there', { html: 'dangling', junit: 'nothing' }],
    ['two names of one file', { html: 'one', junit: 'two' }],
    ['a file within another', { html: 'x', junit: 'x/y' }],
    ['a file that another lies in', { html: 'x/y/z', junit: 'x' }],
  ])('are refused where they are the same: %s', async (_, files) => {
    await symlink('nothing', at('dangling'));
    await writeFile(at('one'), '');
    await link(at('one'), at('two'));
    await expect(prepare(files)).rejects.toMatchObject({ code: 'same_report_file', exitCode: 2 });
  });

  it.each([
    'bundle/report.html',
    'alias/report.html',
    'bundle/onnx/model.onnx',
    'bundle/a/b',
    'bundle',
    'alias',
    'new',
    'new/a/b',
  ])('are refused in the folder of a bundle: %s', async (path) => {
    await expect(prepare({ html: path })).rejects.toMatchObject({ code: 'inside_bundle', exitCode: 2 });
    expect(await readdir(dir)).not.toContain('new');
  });

  it.each(['weights', 'soft', 'hard', 'bundle/../weights'])('are refused where one is read: %s', async (path) => {
    await expect(prepare({ html: path })).rejects.toMatchObject({
      code: 'overwrites_input',
      exitCode: 2,
      message: '--html names a file of the checkpoint, which is read',
    });
  });

  it.each([
    ['bundle.html/x/y', 'weights/x', 'parent_missing'],
    ['x/y', '/proc/pgconv/x', 'parent_missing'],
    ['x/y', '/dev/null/x', 'parent_missing'],
    ['x/y', 'n'.repeat(300), 'name_too_long'],
  ])('are refused where none can be, and no folder stays: %s and %s', async (good, bad, code) => {
    const before = await readdir(dir);
    await expect(prepare({ html: good, junit: bad })).rejects.toMatchObject({
      code,
      exitCode: 4,
      place: { hint: expect.stringContaining('--junit') },
    });
    expect(await readdir(dir)).toEqual(before);
  });

  it('may lie beside a bundle and over an earlier report; folders are made, and go again where nothing came', async () => {
    await writeFile(at('bundle.html'), 'an earlier report');
    const undo = await prepare({ html: 'bundle.html', junit: 'a/b/x.xml', markdown: '/dev/null' });
    expect(await readdir(at('a/b'))).toEqual([]);
    await writeFile(at('a/kept'), '');
    await undo();
    expect(await readdir(at('a'))).toEqual(['kept']);
  });
});
