import { dirname } from 'node:path';
import type { Checkpoint } from './checkpoint.ts';
import { findSidecars, openHuggingFace } from './huggingface.ts';
import type { OpenFile } from './input_file.ts';
import { locateCheckpoint } from './locate.ts';
import { openNpz } from './npz.ts';

export interface CheckpointOptions {
  /** Where deflated .npz members are inflated when they are first read, default the system's temporary folder. */
  readonly scratchDir?: string;
  /** Largest safetensors header that is read, default 8 MB; at most 100 MB. */
  readonly maxHeaderBytes?: number;
  /** Replaces the system's files: for tests. */
  readonly openFile?: OpenFile;
}

/**
 * Opens a checkpoint, whatever its format: a Hugging Face folder, a .safetensors file, an .npz, or a folder that holds
 * one of them. Reads headers and config only. The caller closes it.
 * @throws BadInputError when it is damaged, unsupported or contradicts itself; UsageError when the path is wrong or ambiguous.
 */
export async function openCheckpoint(path: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const located = await locateCheckpoint(path);
  const opened = located.kind === 'npz' ? await openBigVision(located.path, options) : await openHuggingFace(located.path, options);
  return { ...opened, warnings: [...located.warnings, ...opened.warnings] };
}

async function openBigVision(path: string, options: CheckpointOptions): Promise<Checkpoint> {
  const sidecars = await findSidecars(dirname(path));
  const { tensors, file, warnings, checkUnchanged, close } = await openNpz(path, options);
  return { format: 'big_vision', path, tensors, files: [file], config: undefined, sidecars, warnings, checkUnchanged, close };
}
