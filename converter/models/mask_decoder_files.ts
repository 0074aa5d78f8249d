import { extname } from 'node:path';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';

/** Under which the files of a mask decoder stand among the sources of a bundle. */
const FOLDER = 'mask-decoder/';

/** A file among the sources: one alone has the same name wherever it lies, and whatever people call it. */
export function maskDecoderName({ files }: Pick<Checkpoint, 'files'>, file: { readonly name: string }): string {
  return `${FOLDER}${files.length === 1 ? `decoder${extname(file.name)}` : file.name}`;
}

/** Whether a source is a mask decoder's, which no original has. */
export function isOfMaskDecoder(name: string): boolean {
  return name.startsWith(FOLDER);
}
