import { cpSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectRefusal } from '../../checkpoints/testing/expect_refusal.ts';
import { tempFolder } from '../../checkpoints/testing/temp_folder.ts';
import { openModel, type ModelSource } from '../open_model.ts';

const HF = 'fixtures/pg1-tiny/hf';
const LORA = 'fixtures/adapters/lora';
const BESIDE = expect.stringMatching(/^An adapter lies beside the weights \(.*\) and was not used/) as unknown;

/** A folder with base weights and an adapter. */
function both(): string {
  const folder = tempFolder();
  cpSync(HF, folder, { recursive: true });
  cpSync(LORA, folder, { recursive: true });
  return folder;
}

interface Opened {
  readonly warnings: readonly string[];
  readonly adapted: boolean;
  /** Of the adapter's files in the checkpoint's folder: what was left out. */
  readonly leftOut: readonly string[];
}

async function open(source: ModelSource): Promise<Opened> {
  const { warnings, model, ledger, close } = await openModel(source);
  await close();
  const leftOut = ledger.flatMap(({ file, leftOut: reason }) => (file.startsWith('adapter_') && reason ? [file] : []));
  return { warnings, adapted: model.changes.length > 0, leftOut };
}

describe('weights and an adapter in one folder', () => {
  test('the folder alone may mean either', async () => {
    const folder = both();
    const error = await expectRefusal(() => open({ checkpoint: folder }), folder, {
      name: 'UsageError',
      code: 'adapter_beside_model',
      message: /a model and, beside its weights, an adapter/,
    });
    expect(error.place.hint).toContain(`give --adapter ${folder};`);
  });

  test('with --adapter it is merged, whatever the path’s spelling', async () => {
    const folder = both();
    for (const dir of [folder, `${folder}/../${folder.split('/').at(-1)!}/`])
      expect(await open({ checkpoint: folder, adapters: [{ dir, scale: 1 }] })).toEqual({
        warnings: [],
        adapted: true,
        leftOut: [],
      });
  });

  test('with another adapter, and with the weights’ file, it is left aside with a warning', async () => {
    const folder = both();
    expect(await open({ checkpoint: folder, adapters: [{ dir: LORA, scale: 1 }] })).toEqual({
      warnings: [BESIDE],
      adapted: true,
      leftOut: ['adapter_config.json', 'adapter_model.safetensors'],
    });
    const npz = tempFolder();
    cpSync('fixtures/pg1-tiny/bv_f32.npz', join(npz, 'pg.npz'));
    cpSync(LORA, npz, { recursive: true });
    expect(await open({ checkpoint: join(npz, 'pg.npz') })).toEqual({
      warnings: [BESIDE],
      adapted: false,
      leftOut: [],
    });
  });

  test('an adapter’s config with pickled weights is one, too', async () => {
    const folder = both();
    renameSync(join(folder, 'adapter_model.safetensors'), join(folder, 'adapter_model.bin'));
    await expect(open({ checkpoint: folder })).rejects.toMatchObject({ code: 'adapter_beside_model' });
  });

  test('an adapter in a folder of its own beside is no question', async () => {
    const folder = tempFolder();
    cpSync(HF, folder, { recursive: true });
    cpSync(LORA, join(folder, 'checkpoint-100'), { recursive: true });
    expect(await open({ checkpoint: folder })).toEqual({ warnings: [], adapted: false, leftOut: [] });
  });
});
