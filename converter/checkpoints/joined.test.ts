import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readBytes, type TensorData } from '../../ir/tensor.ts';
import { openCheckpoint } from './index.ts';
import { splitSelector } from './selector.ts';
import { expectRefusal, type Refusal } from './testing/expect_refusal.ts';
import { makeNpy, makeZip, npyLiteral } from './testing/make_zip.ts';
import { tempFolder } from './testing/temp_folder.ts';

/** An archive of one f32 per name, whose value is its place. */
function npz(...names: readonly string[]): Uint8Array {
  return makeZip(
    names.map((name, i) => ({
      name: `${name}.npy`,
      data: makeNpy(npyLiteral('<f4', '(1,)'), new Uint8Array(Float32Array.of(i).buffer)),
    })),
  );
}

const valueOf = async (data: TensorData | undefined) => new Float32Array((await readBytes(data!)).buffer)[0];
const HF = join(import.meta.dirname, '../../fixtures/pg1-tiny/hf');

describe('a selector is taken off', () => {
  test('after a path with a slash, and never from a file that has that name', async () => {
    const folder = tempFolder({ 'a.npz': npz('x'), 'odd:img': 'x', 'C:': 'x' });
    const a = join(folder, 'a.npz');
    expect(await splitSelector(`${a}:img`)).toEqual({ path: a, selector: 'img' });
    expect(await splitSelector(`${a}:model/img/`)).toEqual({ path: a, selector: 'model/img' });
    expect(await splitSelector(a)).toEqual({ path: a });
    expect(await splitSelector(join(folder, 'odd:img'))).toEqual({ path: join(folder, 'odd:img') });
    expect(await splitSelector(join(folder, 'absent.npz:img'))).toEqual({
      path: join(folder, 'absent.npz'),
      selector: 'img',
    });
  });

  test.each([String.raw`C:\models\a.npz`, 'C:', 'C:model', 'a.npz', 'D:/models/a.npz', 'gs://bucket/a.npz'])(
    '%s has none',
    async (given) => {
      expect(await splitSelector(given)).toEqual({ path: given });
    },
  );

  test('a drive and a selector', async () => {
    expect(await splitSelector('C:/models/a.npz:llm')).toEqual({ path: 'C:/models/a.npz', selector: 'llm' });
  });

  test('a file without a slash before it: said, with what to write', async () => {
    const given = 'package.json:img';
    await expect(splitSelector(given)).rejects.toMatchObject({
      code: 'selector_without_slash',
      exitCode: 2,
      place: { hint: 'write ./package.json:img' },
    });
  });
});

describe('a subtree', () => {
  test.each([
    ['params/img/embedding/kernel', 'img', 'img/embedding/kernel'],
    ['opt/target/img/embedding/kernel', 'img', 'img/embedding/kernel'],
    ['img/embedding/kernel', 'img', 'img/embedding/kernel'],
    ['params/img/embedding/kernel', 'params/img', 'img/embedding/kernel'],
    ['params/teacher/llm/final_norm/scale', 'teacher/llm', 'llm/final_norm/scale'],
    ['params/PaliGemma/llm/final_norm/scale', 'PaliGemma', 'llm/final_norm/scale'],
  ])('of %s, %s is %s', async (stored, selector, name) => {
    const folder = tempFolder({ 'a.npz': npz('opt/count', stored, 'imgs/x') });
    const opened = await openCheckpoint(`${folder}/a.npz:${selector}`);
    expect([...opened.tensors.keys()]).toEqual([name]);
    expect(await valueOf(opened.tensors.get(name))).toBe(1);
    expect(opened).toMatchObject({
      format: 'big_vision',
      path: join(folder, 'a.npz'),
      config: undefined,
      files: [{ path: join(folder, 'a.npz'), name: 'a.npz' }],
    });
    await opened.checkUnchanged();
    await opened.close();
  });

  test('parts of several files make one checkpoint, each file opened once', async () => {
    const folder = tempFolder({
      'siglip/a.npz': npz('params/img/w', 'params/txt/w'),
      'gemma/a.npz': npz('llm/w', 'img/w'),
      'siglip/tokenizer.model': 'first',
      'gemma/tokenizer.model': 'second',
    });
    const opened = await openCheckpoint([
      `${folder}/siglip/a.npz:img`,
      `${folder}/gemma/a.npz:llm`,
      `${folder}/siglip/../siglip/a.npz:txt`,
    ]);
    expect([...opened.tensors.keys()]).toEqual(['img/w', 'llm/w', 'w']);
    expect(await Promise.all(['img/w', 'llm/w', 'w'].map((name) => valueOf(opened.tensors.get(name))))).toEqual([
      0, 0, 1,
    ]);
    expect(opened.files.map(({ name }) => name)).toEqual(['siglip/a.npz', 'gemma/a.npz']);
    expect([...opened.sidecars].map(([name, { path }]) => [name, path])).toEqual([
      ['tokenizer.model', join(folder, 'siglip/tokenizer.model')],
    ]);
    await opened.checkUnchanged();
    await opened.close();
  });

  test('a file that is replaced while it is open is noticed', async () => {
    const folder = tempFolder({ 'a.npz': npz('img/w'), 'b.npz': npz('llm/w') });
    const opened = await openCheckpoint([`${folder}/a.npz:img`, `${folder}/b.npz:llm`]);
    copyFileSync(join(folder, 'a.npz'), join(folder, 'b.npz'));
    await expect(opened.checkUnchanged()).rejects.toMatchObject({
      code: 'file_changed',
      place: { file: join(folder, 'b.npz') },
    });
    await opened.close();
  });
});

describe('refused, with the way out', () => {
  test.each<[string, (folder: string) => readonly string[], string, Refusal, RegExp]>([
    [
      'a selector that matches nothing',
      (f) => [`${f}/a.npz:image`],
      'a.npz',
      { name: 'UsageError', code: 'unknown_subtree', message: /no subtree "image"; the file has img, txt/ },
      /select one of them/,
    ],
    [
      'a selector on a Hugging Face folder',
      (f) => [`${f}/hf:img`],
      'hf',
      {
        name: 'UsageError',
        code: 'not_selectable',
        message: /":img" selects a subtree of big_vision \.npz files only/,
      },
      /without a selector/,
    ],
    [
      'several Hugging Face folders',
      (f) => [`${f}/hf`, `${f}/a.npz`],
      'hf',
      { name: 'UsageError', code: 'not_selectable', message: /several paths make one checkpoint of big_vision/ },
      /one Hugging Face folder/,
    ],
    [
      'the same part twice',
      (f) => [`${f}/a.npz:img`, `${f}/b.npz`],
      'b.npz',
      { name: 'UsageError', code: 'duplicate_subtree', message: /a\.npz:img and .*b\.npz both hold "img\/w"/ },
      /:img and :llm/,
    ],
    [
      'a file that is absent',
      (f) => [`${f}/a.npz:img`, `${f}/c.npz:llm`],
      'c.npz',
      { name: 'UsageError', code: 'not_found', message: /no such file/ },
      /check the path/,
    ],
  ])('%s', async (_, given, file, refusal, hint) => {
    const folder = tempFolder({ 'a.npz': npz('params/img/w', 'params/txt/w'), 'b.npz': npz('img/w') });
    mkdirSync(join(folder, 'hf'));
    for (const name of ['config.json', 'generation_config.json'])
      copyFileSync(join(HF, name), join(folder, 'hf', name));
    copyFileSync(join(HF, 'model-00001-of-00004.safetensors'), join(folder, 'hf/model.safetensors'));
    const error = await expectRefusal(
      () => openCheckpoint(given(folder)).then((opened) => opened.close()),
      join(folder, file),
      refusal,
    );
    expect(error.place.hint).toMatch(hint);
  });

  test('nothing at all', async () => {
    await expect(openCheckpoint([])).rejects.toMatchObject({ code: 'no_checkpoint', exitCode: 2 });
  });
});

test('the state of training may have dtypes that weights may not, wherever the weights lie', async () => {
  const odd = (name: string) => ({ name: `${name}.npy`, data: makeNpy(npyLiteral('<f8', '(1,)'), new Uint8Array(8)) });
  const weight = (name: string) => ({
    name: `${name}.npy`,
    data: makeNpy(npyLiteral('<f4', '(1,)'), new Uint8Array(4)),
  });
  for (const root of ['params/', 'opt/target/', '']) {
    const folder = tempFolder({
      'a.npz': makeZip([odd('chrono/accum_train_time'), weight(`${root}img/w`)]),
      'b.npz': makeZip([weight(`${root}llm/w`), odd(`${root}img/w`)]),
    });
    const opened = await openCheckpoint(join(folder, 'a.npz'));
    expect([...opened.tensors.keys()]).toEqual([`${root}img/w`]);
    expect(opened.warnings).toEqual([
      expect.stringMatching(/"chrono\/accum_train_time\.npy", which is not among the weights, was left out/),
    ]);
    await opened.close();
    await expectRefusal(() => openCheckpoint(join(folder, 'b.npz')).then((c) => c.close()), join(folder, 'b.npz'), {
      code: 'unsupported_dtype',
      message: /./,
    });
  }
});
