import { basename, dirname, join } from 'node:path';
import { BadInputError } from '../errors.ts';

/** What a training leaves in a folder and is no checkpoint: how its files name it, and the command that makes one. */
interface Leftover {
  readonly what: string;
  /** Whether a folder of this path, with entries of these names, is one. */
  readonly matches: (folder: string, names: readonly string[]) => boolean;
  readonly mend: (folder: string, names: readonly string[]) => string;
}

const BESIDE = 'then give out, with config.json and the tokenizer’s files beside the weights';
const TO_SAFETENSORS = 'write it with safetensors.torch.save_file';
const SHARD = /\.distcp$/;
const ZERO_STATES = /_(?:model|optim)_states\.pt$/;
const ZERO_SCRIPT = 'zero_to_fp32.py';

const some = (names: readonly string[], pattern: RegExp): boolean => names.some((name) => pattern.test(name));

/** The first that fits names the folder. */
const LEFTOVERS: readonly Leftover[] = [
  {
    what: 'weights that Megatron split over processes',
    matches: (_, names) =>
      some(names, /^(?:iter_\d{7}|latest_checkpointed_iteration\.txt|mp_rank_\d\d(?:_\d{3})*)$/) ||
      (names.includes('common.pt') && some(names, SHARD)),
    mend: () => 'export it with the framework that trained it (Megatron Bridge: export_ckpt) as a Hugging Face folder',
  },
  {
    what: 'a training state of DeepSpeed, whose weights are split over processes',
    matches: (_, names) => names.includes(ZERO_SCRIPT) || some(names, /^global_step\d+$/) || some(names, ZERO_STATES),
    mend: (folder, names) => {
      // the script reads the file `latest`, which lies where the folders global_step… lie
      const root = some(names, ZERO_STATES) ? dirname(folder) : folder;
      const tag = root === folder ? '' : ` --tag ${basename(folder)}`;
      const run = names.includes(ZERO_SCRIPT)
        ? `in ${root}, python ${ZERO_SCRIPT} . out`
        : `python -m deepspeed.utils.zero_to_fp32 ${root} out${tag}`;
      return `${run} --safe_serialization, ${BESIDE}`;
    },
  },
  {
    what: 'the state of FSDP’s optimizer, without weights',
    matches: (folder, names) => /^optimizer_\d+$/.test(basename(folder)) && some(names, SHARD),
    mend: (folder) => `accelerate merge-weights ${join(dirname(folder), 'pytorch_model_fsdp_0')} out, ${BESIDE}`,
  },
  {
    what: 'FSDP’s sharded state, whose weights are split over processes',
    matches: (folder, names) =>
      some(names, /^pytorch_model_fsdp_\d+$/) ||
      (/^pytorch_model_fsdp_\d+$/.test(basename(folder)) && some(names, SHARD)),
    mend: (folder, names) => {
      const inner = names.find((name) => /^pytorch_model_fsdp_\d+$/.test(name));
      return `accelerate merge-weights ${inner === undefined ? folder : join(folder, inner)} out, ${BESIDE}`;
    },
  },
  {
    what: 'a distributed checkpoint of Lightning, whose weights are split over processes',
    matches: (_, names) => names.includes('meta.pt') && some(names, SHARD),
    mend: (folder) =>
      `python -m lightning.pytorch.utilities.consolidate_checkpoint ${folder}, load the file that it makes, and ${TO_SAFETENSORS}`,
  },
  {
    what: 'a distributed checkpoint of PyTorch, whose weights are split over processes',
    matches: (_, names) => some(names, SHARD),
    mend: (folder) =>
      `python -m torch.distributed.checkpoint.format_utils dcp_to_torch ${folder} model.pt, load model.pt, and ${TO_SAFETENSORS}`,
  },
  {
    what: 'FSDP’s state, a file for each process',
    matches: (_, names) => some(names, /^model_world_size_\d+_rank_\d+\.pt$/),
    mend: (folder) =>
      `python -m verl.model_merger merge --backend fsdp --local_dir ${folder} --target_dir out, then give out`,
  },
  {
    what: 'FSDP’s local state, a file for each process',
    matches: (_, names) => some(names, /^pytorch_model_fsdp(?:_\d+)?_rank\d+\.bin$/),
    mend: () =>
      'save it again with fsdp_state_dict_type FULL_STATE_DICT (in Python: accelerator.get_state_dict(model), then save_pretrained)',
  },
];

/** Files in which trainers keep all but the weights: optimizer, schedule, random numbers, arguments. */
const STATE =
  /^(?:(?:optimizer|scheduler|scaler|sampler|dataloader|rng_state|random_states|training_args|trainer_state|custom_checkpoint)(?:_\d+)*|dl_state_dict|train_config|optimizer_state|optimizer_param_groups|scheduler_state|training_step)\.(?:bin|pt|pth|pkl|json|safetensors)$/;

/** Whether a file of this name is a trainer's and never holds weights. */
export function isTrainingState(name: string): boolean {
  return STATE.test(name);
}

/** Why a folder is no checkpoint although a training wrote it, and what makes one; undefined for other folders. */
export function leftoverIn(folder: string, names: readonly string[]): BadInputError | undefined {
  const found = LEFTOVERS.find(({ matches }) => matches(folder, names));
  return (
    found &&
    new BadInputError('training_state', `the folder holds ${found.what}`, {
      file: folder,
      hint: found.mend(folder, names),
    })
  );
}

/** Why a folder of trainers' files alone is no checkpoint; undefined when there are none. */
export function stateAlone(folder: string, names: readonly string[]): BadInputError | undefined {
  const state = names.filter(isTrainingState);
  if (state.length === 0) return undefined;
  return new BadInputError(
    'training_state',
    `the folder holds the state of a training (${state.slice(0, 5).join(', ')}${state.length > 5 ? ', …' : ''}) and no weights`,
    { file: folder, hint: 'give the folder into which the model was saved: with model.safetensors and config.json' },
  );
}

/** Why a file is no weights although a training wrote it; undefined for other files. */
export function leftoverFile(path: string): BadInputError | undefined {
  const name = basename(path);
  if (SHARD.test(name) || ZERO_STATES.test(name) || /^model_world_size_\d+_rank_\d+\.pt$/.test(name))
    return leftoverIn(dirname(path), [name]);
  return isTrainingState(name) ? stateAlone(dirname(path), [name]) : undefined;
}
