import { dirname } from 'node:path';
import { UsageError } from '../errors.ts';
import { inputsOr, type Inputs } from '../inputs/inputs.ts';
import type { Checkpoint } from './checkpoint.ts';
import { findSidecars, openHuggingFace } from './huggingface.ts';
import { openJoined } from './joined.ts';
import { locateCheckpoint, type Located } from './locate.ts';
import { openNpz } from './npz.ts';
import { splitSelector, type SelectedPath } from './selector.ts';

export interface CheckpointOptions {
  /** Where deflated .npz members are inflated when they are first read, default the system's temporary folder. */
  readonly scratchDir?: string;
  /** Largest safetensors header that is read, default 8 MB; at most 100 MB. */
  readonly maxHeaderBytes?: number;
  /** Which its files are among; default inputs of its own. */
  readonly inputs?: Inputs | undefined;
}

/**
 * Opens a checkpoint, whatever its format: a Hugging Face folder, a .safetensors file, an .npz, or a folder that holds
 * one of them; or parts of big_vision .npz files, each as `path:subtree`, which are joined (`./a.npz:img`,
 * `./b.npz:llm`). Reads headers and config only. The caller closes it.
 * @throws BadInputError when it is damaged, unsupported or contradicts itself; UsageError when a path is wrong or
 * ambiguous, or a selector does not fit.
 */
export async function openCheckpoint(
  given: string | readonly string[],
  options: CheckpointOptions = {},
): Promise<Checkpoint> {
  const sources: SelectedPath[] = [];
  for (const name of typeof given === 'string' ? [given] : given) sources.push(await splitSelector(name));
  const [first] = sources;
  if (!first) throw new UsageError('no_checkpoint', 'no checkpoint was given', { hint: 'give a folder or a file' });
  const open = (path: string) => openWhole(path, options);
  return sources.length === 1 && first.selector === undefined ? open(first.path) : openJoined(sources, open);
}

/** What opens each kind that `locateCheckpoint` tells apart. */
const OPENERS: Readonly<Record<Located['kind'], (path: string, options: CheckpointOptions) => Promise<Checkpoint>>> = {
  huggingface: openHuggingFace,
  npz: openBigVision,
};

async function openWhole(path: string, options: CheckpointOptions): Promise<Checkpoint> {
  const located = await locateCheckpoint(path, options.inputs);
  const opened = await OPENERS[located.kind](located.path, options);
  return { ...opened, warnings: [...located.warnings, ...opened.warnings] };
}

async function openBigVision(path: string, options: CheckpointOptions): Promise<Checkpoint> {
  const { inputs, close: closeInputs } = inputsOr(options.inputs);
  try {
    const sidecars = await findSidecars(dirname(path), inputs);
    const { tensors, file, beside, warnings, checkUnchanged, close } = await openNpz(path, { ...options, inputs });
    return {
      format: 'big_vision',
      path,
      tensors,
      beside,
      files: [file],
      config: undefined,
      sidecars,
      warnings,
      checkUnchanged,
      async close() {
        await close();
        await closeInputs();
      },
    };
  } catch (error) {
    await closeInputs();
    throw error;
  }
}
