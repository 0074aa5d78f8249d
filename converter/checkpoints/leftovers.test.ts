import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from './index.ts';
import { expectRefusal, type Refusal } from './testing/expect_refusal.ts';
import { tempFolder } from './testing/temp_folder.ts';

const PICKLE = Buffer.from('80027d71002e', 'hex');
const openOnce = async (path: string): Promise<void> => (await openCheckpoint(path)).close();
const filesOf = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, name.endsWith('.json') || name.endsWith('.py') ? '{}' : PICKLE]));

/** What a Hugging Face trainer writes beside the weights. */
const TRAINER = [
  'config.json',
  'optimizer.pt',
  'rng_state_0.pth',
  'scheduler.pt',
  'trainer_state.json',
  'training_args.bin',
];
const DISTRIBUTED = ['.metadata', '__0_0.distcp', '__1_0.distcp'];
const under = (folder: string, names: readonly string[]) => names.map((name) => `${folder}/${name}`);

describe('folders of a training', () => {
  test.each<[string, readonly string[], string, RegExp, RegExp]>([
    [
      'DeepSpeed, as a trainer saves it',
      [...TRAINER, 'latest', 'zero_to_fp32.py', 'global_step100/mp_rank_00_model_states.pt'],
      '',
      /^the folder holds a training state of DeepSpeed/,
      /python zero_to_fp32\.py \. out --safe_serialization, then give out, with config\.json/,
    ],
    [
      'DeepSpeed without its script',
      ['latest', 'global_step100/zero_pp_rank_0_mp_rank_00_model_states.pt'],
      '',
      /DeepSpeed/,
      /python -m deepspeed\.utils\.zero_to_fp32 FOLDER out --safe_serialization/,
    ],
    [
      'the inner folder of DeepSpeed',
      ['latest', 'global_step100/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt'],
      'global_step100',
      /DeepSpeed/,
      /zero_to_fp32 FOLDER out --tag global_step100 --safe_serialization/,
    ],
    [
      'FSDP, as accelerate saves it',
      [
        ...TRAINER,
        'optimizer.bin',
        ...under('pytorch_model_fsdp_0', DISTRIBUTED),
        ...under('optimizer_0', DISTRIBUTED),
      ],
      '',
      /^the folder holds FSDP’s sharded state/,
      /^accelerate merge-weights FOLDER\/pytorch_model_fsdp_0 out, then give out/,
    ],
    [
      'the inner folder of FSDP',
      under('pytorch_model_fsdp_0', DISTRIBUTED),
      'pytorch_model_fsdp_0',
      /FSDP’s sharded state/,
      /^accelerate merge-weights FOLDER\/pytorch_model_fsdp_0 out/,
    ],
    [
      'FSDP’s optimizer',
      under('optimizer_0', DISTRIBUTED),
      'optimizer_0',
      /FSDP’s optimizer, without weights/,
      /^accelerate merge-weights FOLDER\/pytorch_model_fsdp_0 out/,
    ],
    [
      'FSDP’s local state',
      ['config.json', 'pytorch_model_fsdp_rank0.bin', 'pytorch_model_fsdp_rank1.bin'],
      '',
      /a file for each process/,
      /FULL_STATE_DICT/,
    ],
    [
      'FSDP as verl saves it',
      ['model_world_size_2_rank_0.pt', 'model_world_size_2_rank_1.pt', 'optim_world_size_2_rank_0.pt'],
      '',
      /a file for each process/,
      /verl\.model_merger merge --backend fsdp --local_dir FOLDER/,
    ],
    [
      'torch.distributed.checkpoint',
      DISTRIBUTED,
      '',
      /a distributed checkpoint of PyTorch/,
      /format_utils dcp_to_torch FOLDER model\.pt/,
    ],
    ['Lightning', [...DISTRIBUTED, 'meta.pt'], '', /of Lightning/, /consolidate_checkpoint FOLDER/],
    ['Megatron', ['common.pt', 'metadata.json', ...DISTRIBUTED], '', /Megatron split/, /Megatron Bridge/],
    [
      'Megatron, of old',
      ['latest_checkpointed_iteration.txt', 'iter_0000100/mp_rank_00/model_optim_rng.pt'],
      '',
      /Megatron/,
      /Bridge/,
    ],
    [
      'a trainer’s state alone',
      TRAINER,
      '',
      /the state of a training \(optimizer\.pt, .*\) and no weights/,
      /model\.safetensors/,
    ],
    [
      'LeRobot’s state',
      ['optimizer_state.safetensors', 'training_step.json', 'scheduler_state.json', 'rng_state.safetensors'],
      '',
      /the state of a training \(optimizer_state\.safetensors/,
      /model\.safetensors/,
    ],
  ])('%s', async (_, names, inner, message, hint) => {
    const root = tempFolder(filesOf(names));
    const folder = join(root, inner);
    const error = await expectRefusal(() => openOnce(folder), folder, { code: 'training_state', message });
    expect(error.place.hint?.replaceAll(root, 'FOLDER')).toMatch(hint);
  });

  test('below the folder that was given', async () => {
    const root = tempFolder(
      filesOf([...under('checkpoint-100', ['zero_to_fp32.py', 'latest']), 'config.json', 'training_args.bin']),
    );
    await expectRefusal(() => openOnce(root), join(root, 'checkpoint-100'), {
      code: 'training_state',
      message: /DeepSpeed/,
    });
  });

  test('weights that were gathered beside the state are read', async () => {
    const root = tempFolder({
      ...filesOf([...TRAINER, 'zero_to_fp32.py', 'global_step1/mp_rank_00_model_states.pt', 'optimizer.safetensors']),
      'model.safetensors': '\u0002\0\0\0\0\0\0\0{}',
    });
    const opened = await openCheckpoint(root);
    expect(opened.files.map(({ name }) => name)).toEqual(['model.safetensors']);
    await opened.close();
  });

  test('pickled weights beside a trainer’s state are what is named', async () => {
    const root = tempFolder(filesOf([...TRAINER, 'pytorch_model.bin']));
    const error = await expectRefusal(() => openOnce(root), join(root, 'pytorch_model.bin'), {
      code: 'pickle_refused',
      message: /pickle/,
    });
    expect(error.place.hint).toMatch(/from_pretrained\(folder\)/);
  });
});

describe('files of a training', () => {
  test.each<[string, RegExp, RegExp]>([
    ['pytorch_model_fsdp_0/__0_0.distcp', /FSDP’s sharded state/, /accelerate merge-weights/],
    ['__0_0.distcp', /of PyTorch/, /dcp_to_torch/],
    ['global_step7/mp_rank_00_model_states.pt', /DeepSpeed/, /--tag global_step7/],
    ['optimizer.pt', /the state of a training \(optimizer\.pt\) and no weights/, /model\.safetensors/],
    ['training_args.bin', /training_args\.bin/, /model\.safetensors/],
    ['rng_state_3.pth', /rng_state_3\.pth/, /model\.safetensors/],
    ['optimizer_state.safetensors', /optimizer_state\.safetensors/, /model\.safetensors/],
  ])('%s', async (name, message, hint) => {
    const path = join(tempFolder(filesOf([name])), name);
    const error = await expectRefusal(() => openOnce(path), join(path, '..'), { code: 'training_state', message });
    expect(error.place.hint).toMatch(hint);
  });

  test.each<[string, Partial<Refusal>, RegExp]>([
    ['pytorch_model.bin', { code: 'pickle_refused' }, /from_pretrained\(folder\)/],
    [
      'pytorch_model_fsdp.bin',
      { code: 'pickle_refused' },
      /torch\.load\(file, map_location="cpu", weights_only=True\)/,
    ],
    ['last.ckpt', { code: 'pickle_refused' }, /state\["state_dict"\]/],
    ['consolidated.00.pth', { code: 'pickle_refused' }, /save_file/],
  ])('%s is a pickle: what reads it', async (name, refusal, hint) => {
    const path = join(tempFolder(filesOf([name])), name);
    const error = await expectRefusal(() => openOnce(path), path, { message: /pickle/, ...refusal } as Refusal);
    expect(error.place.hint).toMatch(hint);
  });
});
