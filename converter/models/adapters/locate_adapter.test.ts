import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { expectRefusal } from '../../checkpoints/testing/expect_refusal.ts';
import { tempFolder } from '../../checkpoints/testing/temp_folder.ts';
import { openAdapter } from './index.ts';

const LORA = 'fixtures/adapters/lora';
const COMMIT = 'e'.repeat(40);
const openOnce = async (dir: string): Promise<void> => (await openAdapter(dir)).close();

afterEach(() => vi.unstubAllEnvs());

/** A folder with the adapter `lora` in these folders. */
function adaptersIn(names: readonly string[], files: Readonly<Record<string, string>> = {}): string {
  const folder = tempFolder(files);
  for (const name of names) {
    mkdirSync(join(folder, name), { recursive: true });
    cpSync(LORA, join(folder, name), { recursive: true });
  }
  return folder;
}

describe('an adapter in a folder below', () => {
  test.each<[string, readonly string[], Readonly<Record<string, string>>, string]>([
    ['of PEFT, with a name', ['my_lora'], { 'README.md': 'x' }, 'my_lora'],
    ['of a trainer', ['checkpoint-100'], { 'config.json': '{}', 'trainer_state.json': '{}' }, 'checkpoint-100'],
    ['of LeRobot', ['checkpoints/000100/pretrained_model'], {}, 'checkpoints/000100/pretrained_model'],
    [
      'of the Hub’s cache',
      [`models--me--lora/snapshots/${COMMIT}`],
      { 'models--me--lora/refs/main': COMMIT },
      `models--me--lora/snapshots/${COMMIT}`,
    ],
  ])('%s', async (_, names, files, picked) => {
    const folder = adaptersIn(names, files);
    const adapter = await openAdapter(folder);
    expect(adapter.path).toBe(join(folder, picked));
    expect(adapter.warnings[0]).toMatch(`The adapter ${picked} in the folder`);
    expect(adapter.tensors.size).toBeGreaterThan(0);
    await adapter.close();
  });

  test('of a model in the Hub’s cache, the snapshot that main names', async () => {
    const folder = adaptersIn([`snapshots/${COMMIT}`, `snapshots/${'f'.repeat(40)}`], { 'refs/main': COMMIT });
    const adapter = await openAdapter(folder);
    expect(adapter.path).toBe(join(folder, 'snapshots', COMMIT));
    expect(adapter.warnings).toEqual([`The snapshot snapshots/${COMMIT}, which is the revision main, was used.`]);
    await adapter.close();
  });

  test('several are listed by number', async () => {
    const folder = adaptersIn(['checkpoint-1000', 'checkpoint-200']);
    const error = await expectRefusal(() => openOnce(folder), folder, {
      name: 'UsageError',
      code: 'ambiguous_adapter',
      message: /several adapters: checkpoint-200, checkpoint-1000$/,
    });
    expect(error.place.hint).toBe(`give one of them, such as ${join(folder, 'checkpoint-1000')}`);
  });

  test('the one in the folder itself comes first', async () => {
    const folder = adaptersIn(['.', 'checkpoint-100']);
    const adapter = await openAdapter(folder);
    expect(adapter).toMatchObject({ path: folder, warnings: [] });
    await adapter.close();
  });
});

test('a Hub id, by which the adapter is known', async () => {
  const cache = adaptersIn([`models--me--lora/snapshots/${COMMIT}`], { 'models--me--lora/refs/v1': COMMIT });
  vi.stubEnv('HF_HUB_CACHE', cache);
  const adapter = await openAdapter('me/lora@v1');
  expect(adapter).toMatchObject({
    name: 'lora',
    path: join(cache, `models--me--lora/snapshots/${COMMIT}`),
    warnings: [],
  });
  await adapter.close();
  await expect(openAdapter('me/lora')).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('not its revision "main"; it has v1') as unknown,
    place: { hint: expect.stringContaining('hf download me/lora') as unknown },
  });
});

describe('refused, with the way out:', () => {
  test.each<[string, Readonly<Record<string, string>>, string, RegExp, RegExp]>([
    ['a DeepSpeed folder', { latest: 'x', 'zero_to_fp32.py': '#' }, 'training_state', /DeepSpeed/, /zero_to_fp32/],
    [
      'a DeepSpeed folder with the adapter’s config',
      { 'adapter_config.json': '{"peft_type":"LORA"}', 'zero_to_fp32.py': '#' },
      'training_state',
      /DeepSpeed/,
      /zero_to_fp32/,
    ],
    [
      'a model',
      { 'config.json': '{}', 'model.safetensors': 'x' },
      'not_an_adapter',
      /a model, not/,
      /as the checkpoint/,
    ],
    ['nothing', { 'README.md': 'x' }, 'not_an_adapter', /and none below it has$/, /save_pretrained/],
  ])('%s', async (_, files, code, message, hint) => {
    const folder = tempFolder(files);
    const error = await expectRefusal(() => openOnce(folder), folder, { code, message });
    expect(error.place.hint).toMatch(hint);
  });

  test('an adapter of MLX, and the file in place of the folder', async () => {
    const mlx = tempFolder({ 'adapter_config.json': '{"peft_type":"LORA"}', 'adapters.safetensors': 'x' });
    await expectRefusal(() => openOnce(mlx), join(mlx, 'adapters.safetensors'), {
      code: 'unsupported_adapter',
      message: /MLX/,
    });
    const file = join(adaptersIn(['.']), 'adapter_model.safetensors');
    const error = await expectRefusal(() => openOnce(file), file, {
      name: 'UsageError',
      code: 'not_a_folder',
      message: /a folder/,
    });
    expect(error.place.hint).toBe(`give the folder that it lies in: ${join(file, '..')}`);
  });
});
