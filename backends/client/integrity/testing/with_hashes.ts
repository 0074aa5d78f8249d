import { createHash } from 'node:crypto';
import { HASHES_PATH, type FileHash } from '../file_hashes.ts';

type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');

/** manifest.json as `pgconv convert` writes it, with what clients read of it. */
export function manifestText(files: readonly FileHash[], more: object = {}): string {
  const body = { format: 'pgconv-bundle', formatVersion: 1, ...more, files };
  return `${JSON.stringify({ ...body, sha256: sha256(JSON.stringify(body)) }, null, 2)}\n`;
}

export function hashOf(path: string, data: Uint8Array): FileHash {
  return { path, bytes: data.length, sha256: sha256(data) };
}

/** Files of a bundle with the manifest.json that says what they are. */
export function withHashes(files: Files): Map<string, Uint8Array<ArrayBuffer>> {
  const list = [...files].flatMap(([path, data]) => (path === HASHES_PATH ? [] : [hashOf(path, data)]));
  return new Map([...files, [HASHES_PATH, new TextEncoder().encode(manifestText(list))]]);
}

/** The same as clients take them. */
export function asBlobs(files: Files): Map<string, Blob> {
  return new Map([...files].map(([path, data]) => [path, new Blob([data])]));
}
