import { createHash } from 'node:crypto';
import type { ArtifactFile } from '../backend.ts';

/**
 * Reads files of a bundle one after the other, as a writer does: later ones are told the hashes of those before.
 * @returns the bytes of one. @throws Error from a file that names the hash of one that was not read
 */
export function fileReader(): (file: Pick<ArtifactFile, 'path' | 'chunks'>) => Promise<Uint8Array> {
  const hashes = new Map<string, string>();
  const sha256Of = async (path: string): Promise<string> => {
    const hash = hashes.get(path);
    if (hash === undefined) throw new Error(`${path} has not been written`);
    return hash;
  };
  return async ({ path, chunks }) => {
    const parts: Uint8Array[] = [];
    for await (const { bytes } of chunks({ sha256Of })) parts.push(bytes);
    const bytes = new Uint8Array(Buffer.concat(parts));
    hashes.set(path, createHash('sha256').update(bytes).digest('hex'));
    return bytes;
  };
}
