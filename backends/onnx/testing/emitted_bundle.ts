import type { Program } from '../../../ir/graph.ts';
import type { Artifact } from '../../backend.ts';
import { writtenArtifact } from '../../testing/written_artifact.ts';
import { emit } from '../emit.ts';
import type { OnnxOptions } from '../target.ts';

/** All bytes of an artifact's file, checked against its stated size. */
export async function fileBytes(artifact: Artifact, path: string): Promise<Uint8Array> {
  const file = artifact.files.find((f) => f.path === path);
  if (!file) throw new Error(`no file ${path}: there are ${artifact.files.map((f) => f.path).join(', ')}`);
  const pieces: Uint8Array[] = [];
  for await (const { bytes } of file.chunks()) pieces.push(bytes);
  const all = Buffer.concat(pieces);
  if (all.byteLength !== file.byteLength)
    throw new Error(`${path} states ${file.byteLength} bytes and has ${all.byteLength}`);
  return all;
}

/** A program's bundle in a temporary folder, which goes away with `await using`. */
export async function emittedBundle(
  program: Program,
  precision = 'fp32',
  dataFileBytes?: number,
  options: Omit<OnnxOptions, 'precision'> = {},
): Promise<{ readonly dir: string; readonly artifact: Artifact } & AsyncDisposable> {
  const artifact = emit(program, { precision, ...options }, dataFileBytes === undefined ? {} : { dataFileBytes });
  return { artifact, ...(await writtenArtifact(artifact)) };
}
