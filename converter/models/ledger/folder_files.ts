import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { isFolder } from '../../checkpoints/is_folder.ts';
import { isTrainingState } from '../../checkpoints/leftovers.ts';
import { recognize } from '../../checkpoints/recognize.ts';
import { BadInputError } from '../../errors.ts';
import { Inputs } from '../../inputs/inputs.ts';
import type { LedgerEntry, Reason } from './ledger.ts';

/**
 * What became of every file of a Hugging Face folder that is not a weight file, by name and, where a name says nothing,
 * by its first bytes. An .npz or a single file is a checkpoint by itself: what lies beside it is not the model's.
 * @param elsewhere files that have entries of their own: those of an adapter that lies in the same folder
 * @throws BadInputError for code that config.json tells transformers to run: it may compute anything
 */
export async function folderEntries(
  { format, path, files, config, sidecars }: Pick<Checkpoint, 'format' | 'path' | 'files' | 'config' | 'sidecars'>,
  elsewhere: readonly string[] = [],
): Promise<readonly LedgerEntry[]> {
  if (format !== 'huggingface' || !(await isFolder(path))) return [];
  refuseRemoteCode(config, path);
  const opened = new Set([
    ...files.map(({ name }) => name),
    'config.json',
    ...[...sidecars].flatMap(([name, file]) => (file.path === join(path, name) ? [name] : [])),
  ]);
  const isIndexed = files.length > 1;
  const found: LedgerEntry[] = [];
  for (const name of (await readdir(path)).toSorted()) {
    if (elsewhere.includes(join(path, name))) continue;
    if (opened.has(name) || (isIndexed && name.endsWith('.safetensors.index.json'))) {
      if (!files.some((file) => file.name === name)) found.push({ file: name, used: ['settings'] });
      continue;
    }
    const isInner = await isFolder(join(path, name));
    const leftOut = isInner ? 'folder' : (reasonByName(name) ?? (await reasonByContent(join(path, name))));
    found.push({ file: isInner ? `${name}/` : name, leftOut });
  }
  return found;
}

/** Names that mean the same everywhere. The first that fits tells. */
const NAMES: readonly (readonly [RegExp, Reason])[] = [
  [/^(?:README|LICEN[CS]E|NOTICE|USAGE|USE_POLICY|MODEL_CARD|CITATION|CHANGELOG)(?:[._-].*)?$/i, 'documentation'],
  [/\.(?:md|rst|pdf|png|jpe?g|gif|webp|svg|bib|ipynb)$/i, 'documentation'],
  [/^\.(?:gitattributes|gitignore|DS_Store|huggingface|cache)$/, 'documentation'],
  [/^(?:trainer_state|train_results|eval_results|all_results|training_config)\.json$/, 'training_file'],
  [/^events\.out\.tfevents\.|^(?:latest|zero_to_fp32\.py)$|\.log$/, 'training_file'],
  [
    /\.(?:safetensors|safetensors\.index\.json|bin|bin\.index\.json|pt|pth|ckpt|h5|msgpack|npz|gguf|onnx|onnx_data|tflite)$/i,
    'other_weights',
  ],
  [/\.(?:py|pyc|so)$/, 'code'],
  [
    /^(?:video_preprocessor_config|chat_template|quantize_config|vocab|merges|tokenizer_legacy|handler|model_index)\.(?:json|jinja|txt)$/,
    'not_read',
  ],
];

function reasonByName(name: string): Reason | undefined {
  if (isTrainingState(name)) return 'training_file';
  return NAMES.find(([pattern]) => pattern.test(name))?.[1];
}

/** Of files that are not the model's: they may change as they like, as the log of a training does. */
async function reasonByContent(file: string): Promise<Reason> {
  const stats = await stat(file).catch(() => undefined);
  if (!stats?.isFile()) return 'no_weights';
  const inputs = new Inputs();
  try {
    const { kind } = await recognize(await inputs.open(file));
    return kind === 'unknown' || kind === 'empty' ? 'no_weights' : 'other_weights';
  } finally {
    await inputs.close();
  }
}

function refuseRemoteCode(config: unknown, path: string): void {
  const map: unknown = (config as { readonly auto_map?: unknown } | undefined)?.auto_map;
  if (map === undefined || map === null || typeof map !== 'object') return;
  const models = Object.entries(map).filter(([name]) => name.startsWith('AutoModel'));
  if (models.length === 0) return;
  throw new BadInputError(
    'remote_code',
    `config.json names code of its own for the model (auto_map ${models[0]![0]}: ${String(models[0]![1])}): what that computes nobody here knows`,
    {
      file: join(path, 'config.json'),
      hint: 'where it is a PaliGemma as transformers has it, remove auto_map from config.json',
    },
  );
}
