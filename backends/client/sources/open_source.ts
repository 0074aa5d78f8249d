import type * as nodeFs from 'node:fs';
import { RuntimeError } from '../errors.ts';
import { httpSource } from './http_source.ts';
import { nodeModule } from '../node.ts';
import { insideFolder } from './inside_folder.ts';
import { endsEarly, notFound, type BundleSource } from './source.ts';

/**
 * A URL of a folder, a path of one (in Node), the files of one (from a file picker or dropped), or blobs by their path.
 */
export type BundleLocation = string | URL | Iterable<File> | ReadonlyMap<string, Blob>;

/** One piece of a file on its way. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * @param manifest the file at the root of a bundle, by which a list of files is known
 * @throws RuntimeError `bad_input` for a list of files without it
 */
export function openSource(location: BundleLocation, manifest: string): BundleSource {
  if (location instanceof Map) return blobSource(location as ReadonlyMap<string, Blob>);
  if (typeof location === 'string' || location instanceof URL) return addressSource(String(location));
  return blobSource(filesByPath(location as Iterable<File>, manifest));
}

function addressSource(address: string): BundleSource {
  const fs = nodeModule('node:fs');
  const isUrl = /^[a-z][a-z+.-]+:/i.test(address);
  if (fs && (!isUrl || address.startsWith('file:')))
    return folderSource(fs, isUrl ? nodeModule('node:url')!.fileURLToPath(address) : address);
  return httpSource(folderUrl(address));
}

/** The address of a folder, in a page relative to it. @throws TypeError for what is no address */
export function folderUrl(address: string): URL {
  return absoluteUrl(address.endsWith('/') ? address : `${address}/`);
}

/** An address, in a page relative to it, as `fetch` takes it. @throws TypeError for what is no address */
export function absoluteUrl(address: string): URL {
  const { document, location } = globalThis as {
    readonly document?: { readonly baseURI: string };
    readonly location?: { readonly href: string };
  };
  return new URL(address, document?.baseURI ?? location?.href);
}

function folderSource(fs: typeof nodeFs, folder: string): BundleSource {
  const missing = (path: string, cause: unknown) => notFound(`${folder}/${path}`, cause);
  return {
    name: folder,
    isRemote: false,
    async read(path, signal) {
      await insideFolder(fs, folder, path);
      return new Uint8Array(
        await fs.promises
          .readFile(`${folder}/${path}`, { signal })
          .catch((cause: unknown) => Promise.reject(signal?.aborted ? cause : missing(path, cause))),
      );
    },
    async readRange(path, begin, end, signal) {
      await insideFolder(fs, folder, path);
      const file = await fs.promises
        .open(`${folder}/${path}`)
        .catch((cause: unknown) => Promise.reject(missing(path, cause)));
      try {
        signal?.throwIfAborted();
        const { size } = await file.stat();
        if (size < end) throw endsEarly(`${folder}/${path}`, size, end);
        const bytes = new Uint8Array(end - begin);
        const { bytesRead } = await file.read(bytes, 0, bytes.length, begin);
        if (bytesRead < bytes.length) throw endsEarly(`${folder}/${path}`, begin + bytesRead, end);
        return bytes;
      } finally {
        await file.close();
      }
    },
    async *stream(path, byteLength, signal) {
      await insideFolder(fs, folder, path);
      const stats = await fs.promises.stat(`${folder}/${path}`).catch(() => undefined);
      if (stats && stats.size < byteLength) throw endsEarly(`${folder}/${path}`, stats.size, byteLength);
      try {
        yield* fs.createReadStream(`${folder}/${path}`, {
          highWaterMark: CHUNK_BYTES,
          ...(signal && { signal }),
        }) as AsyncIterable<Uint8Array>;
      } catch (cause) {
        signal?.throwIfAborted();
        throw missing(path, cause);
      }
    },
  };
}

function blobSource(blobs: ReadonlyMap<string, Blob>): BundleSource {
  const blobOf = (path: string): Blob => {
    const blob = blobs.get(path);
    if (!blob) throw notFound(path);
    return blob;
  };
  return {
    name: 'the files given',
    isRemote: false,
    read: async (path) => new Uint8Array(await blobOf(path).arrayBuffer()),
    async readRange(path, begin, end) {
      const blob = blobOf(path);
      if (blob.size < end) throw endsEarly(path, blob.size, end);
      return new Uint8Array(await blob.slice(begin, end).arrayBuffer());
    },
    async *stream(path, byteLength, signal) {
      const blob = blobOf(path);
      if (blob.size < byteLength) throw endsEarly(path, blob.size, byteLength);
      for (let at = 0; at < blob.size; at += CHUNK_BYTES) {
        signal?.throwIfAborted();
        yield new Uint8Array(await blob.slice(at, at + CHUNK_BYTES).arrayBuffer());
      }
    },
  };
}

/** Files of a folder by their path below the manifest's. */
function filesByPath(files: Iterable<File>, name: string): ReadonlyMap<string, Blob> {
  const paths = Array.from(
    files,
    (file) =>
      [(file as File & { readonly webkitRelativePath?: string }).webkitRelativePath || file.name, file] as const,
  );
  const manifest = paths.find(([path]) => path === name || path.endsWith(`/${name}`));
  if (!manifest)
    throw new RuntimeError('bad_input', `there is no ${name} among the files`, 'choose the whole folder of the bundle');
  const root = manifest[0].slice(0, -name.length);
  return new Map(
    paths.flatMap(([path, file]) => (path.startsWith(root) ? [[path.slice(root.length), file] as const] : [])),
  );
}
