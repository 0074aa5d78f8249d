import { RuntimeError } from '../errors.ts';
import { openSource, type BundleLocation } from '../sources/open_source.ts';
import type { BundleSource } from '../sources/source.ts';
import { checkedSource } from './checked_source.ts';
import { HASHES_PATH, readFileHashes, type FileHash } from './file_hashes.ts';

export interface CheckOptions {
  /** Ends it: its reason is thrown. */
  readonly signal?: AbortSignal;
  /** Hears of bytes that were read of all. */
  readonly onProgress?: (progress: { readonly loaded: number; readonly total: number }) => void;
}

/** What was checked. */
export interface CheckedFiles {
  /** Paths, without manifest.json. */
  readonly files: readonly string[];
  /** Of all of them. */
  readonly bytes: number;
}

/**
 * Reads every file of a bundle once and holds it to manifest.json, and that to itself; a few MiB are held at a time.
 * Whoever reads the files by other means afterwards, as ONNX Runtime does in Node, reads what was checked.
 * @param location a folder (in Node), the URL of one, or its files, as `load` takes them.
 * @throws RuntimeError `damaged` with the name of every file that is missing, of another size, or changed; `not_found`
 * where there is no manifest.json; `newer_version`, `network`; the signal's reason.
 */
export async function checkBundle(location: BundleLocation, options: CheckOptions = {}): Promise<CheckedFiles> {
  const source = openSource(location, HASHES_PATH);
  const hashes = await readFileHashes(source, options.signal);
  return check(checkedSource(source, hashes), [...hashes.files.values()], options);
}

/**
 * The same of one file.
 * @param path relative to the bundle, with `/`: `onnx/vision_encoder.onnx`.
 * @throws RuntimeError as `checkBundle`; `not_found` for what manifest.json does not list.
 */
export async function checkFile(
  location: BundleLocation,
  path: string,
  options: CheckOptions = {},
): Promise<CheckedFiles> {
  const source = openSource(location, HASHES_PATH);
  const hashes = await readFileHashes(source, options.signal);
  return check(checkedSource(source, hashes), [hashes.files.get(path) ?? { path, bytes: 0 }], options);
}

async function check(
  source: BundleSource,
  files: readonly Pick<FileHash, 'path' | 'bytes'>[],
  { signal, onProgress }: CheckOptions,
): Promise<CheckedFiles> {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const problems: RuntimeError[] = [];
  let loaded = 0;
  for (const { path, bytes } of files)
    try {
      for await (const chunk of source.stream(path, bytes, signal)) {
        loaded += chunk.length;
        onProgress?.({ loaded, total });
      }
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code !== 'damaged') throw error;
      problems.push(error);
    }
  const [first, ...more] = problems;
  if (!first) return { files: files.map(({ path }) => path), bytes: total };
  if (more.length === 0) throw first;
  throw new RuntimeError('damaged', problems.map(({ problem }) => problem).join('; '), first.hint, { cause: first });
}
