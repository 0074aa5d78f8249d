import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { findBackend } from '../../../backends/find_backend.ts';
import { readManifest } from '../../bundle/manifest.ts';

/** Where a tensor of a bundle lies. */
export interface Place {
  readonly name: string;
  /** Relative to the bundle. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

interface Initializer {
  readonly name: string;
  readonly byteLength: number;
  readonly external?: { readonly location: string; readonly offset: number };
}

/**
 * Every tensor of a bundle's files of weights, as `pgconv inspect` says it: that shares nothing with the reader that
 * has to find what is changed there.
 */
export async function placesIn(dir: string): Promise<readonly Place[]> {
  const { backend: name, files } = await readManifest(dir);
  const { data } = await (await findBackend(name)).describe({ dir, files });
  const { graphs, plan, weights } = data as {
    graphs?: readonly { path: string; summary: { initializers: readonly Initializer[] } }[];
    plan?: { weights?: readonly { name: string; shard: string; offset: number; bytes: number }[] };
    weights?: readonly Place[];
  };
  return [
    ...(graphs ?? []).flatMap(({ path, summary }) =>
      summary.initializers.flatMap(({ name: tensor, byteLength, external }) =>
        external
          ? [{ name: tensor, file: join(path, '..', external.location), offset: external.offset, bytes: byteLength }]
          : [],
      ),
    ),
    ...(plan?.weights ?? []).map(({ name: range, shard, offset, bytes }) => ({
      name: range,
      file: shard,
      offset,
      bytes,
    })),
    ...(weights ?? []),
  ];
}

/** @throws Error when there is none of that name, or more than one */
export function placeOf(places: readonly Place[], tensor: string): Place {
  const found = places.filter(({ name }) => name === tensor);
  if (found.length !== 1) throw new Error(`${found.length} tensors are named "${tensor}"`);
  return found[0]!;
}

/** Changes the bytes of tensors in place. */
export type Edit = (...tensors: readonly Uint8Array[]) => void;

/**
 * Edits tensors in the files of a bundle; what comes back undoes it. @throws Error when a tensor is as it was: the
 * fault would test nothing
 */
export async function edited(dir: string, tensors: readonly string[], edit: Edit): Promise<() => void> {
  const all = await placesIn(dir);
  const places = tensors.map((tensor) => placeOf(all, tensor));
  const before = places.map((place) => bytesAt(dir, place));
  const after = before.map((bytes) => bytes.slice());
  edit(...after);
  for (const [i, bytes] of after.entries())
    if (Buffer.compare(bytes, before[i]!) === 0) throw new Error(`"${tensors[i]}" is not changed`);
  const write = (contents: readonly Uint8Array[]) =>
    places.forEach((place, i) => inFile(dir, place, 'r+', (file) => writeAll(file, contents[i]!, place.offset)));
  write(after);
  return () => write(before);
}

function bytesAt(dir: string, place: Place): Uint8Array {
  const bytes = new Uint8Array(place.bytes);
  inFile(dir, place, 'r', (file) => {
    for (let at = 0; at < bytes.byteLength;) {
      const count = readSync(file, bytes, at, bytes.byteLength - at, place.offset + at);
      if (count === 0) throw new Error(`${place.file} ends within "${place.name}"`);
      at += count;
    }
  });
  return bytes;
}

function writeAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.byteLength;) at += writeSync(file, bytes, at, bytes.byteLength - at, offset + at);
}

function inFile(dir: string, { file }: Place, flags: 'r' | 'r+', use: (file: number) => void): void {
  const handle = openSync(join(dir, file), flags);
  try {
    use(handle);
  } finally {
    closeSync(handle);
  }
}
