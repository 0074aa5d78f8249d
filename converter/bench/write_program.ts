import { mkdir } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ArtifactFile, EmitOptions } from '../../backends/backend.ts';
import { onnx } from '../../backends/onnx/index.ts';
import type { Program } from '../../ir/graph.ts';

/** Writes the ONNX files of a program of one graph into `dir`. @returns the path of its model file */
export async function writeProgram(
  program: Program,
  options: Omit<EmitOptions, 'precision'>,
  dir: string,
): Promise<string> {
  const { files } = onnx.emit(program, { precision: 'fp32', ...options });
  await writeFiles(files, dir);
  return join(dir, files.find((file) => file.path.endsWith('.onnx'))!.path);
}

/** Writes files of a bundle into `dir`. */
export async function writeFiles(files: readonly ArtifactFile[], dir: string): Promise<void> {
  for (const file of files) {
    const path = join(dir, file.path);
    await mkdir(dirname(path), { recursive: true });
    await pipeline(Readable.from(bytesOf(file)), createWriteStream(path));
  }
}

async function* bytesOf(file: ArtifactFile): AsyncIterable<Uint8Array> {
  for await (const { bytes } of file.chunks()) yield bytes;
}
