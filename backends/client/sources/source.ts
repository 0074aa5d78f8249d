import { RuntimeError } from '../errors.ts';

/** Where the files of a bundle come from. Paths are those of the manifest: relative, with slashes. */
export interface BundleSource {
  /** For messages. */
  readonly name: string;
  /** Whether its files come over a network. */
  readonly isRemote: boolean;
  /**
   * A whole file, for those that are small.
   * @param fresh whether the server is asked also where a cache on the way has an answer
   * @throws RuntimeError `not_found`
   */
  read(path: string, signal?: AbortSignal, fresh?: boolean): Promise<Uint8Array<ArrayBuffer>>;
  /** Bytes [begin, end) of a file. @throws RuntimeError `not_found`, `damaged` when it ends before */
  readRange(path: string, begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** Reads a file of which ranges will be asked for once through, where that checks it; absent: nothing does. */
  beforeRanges?(path: string, signal?: AbortSignal): Promise<void>;
  /** The bytes of a file that should have `byteLength`, in order. @throws RuntimeError `not_found`, `damaged` */
  stream(path: string, byteLength: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A file of the bundle that is not there. */
export function notFound(file: string, cause?: unknown): RuntimeError {
  return new RuntimeError('not_found', `${file} cannot be read`, 'check the address of the bundle', { cause });
}

/** A file of the bundle that has fewer bytes than its plan says: `at` of `end`. */
export function endsEarly(file: string, at: number, end: number): RuntimeError {
  return new RuntimeError(
    'damaged',
    `${file} ends after ${at} bytes, and bytes up to ${end} are needed`,
    'copy or convert the bundle again',
  );
}

/** @throws RuntimeError `not_found`, `damaged` when it is no JSON */
export async function readJson(source: BundleSource, path: string, signal?: AbortSignal): Promise<object> {
  const bytes = await source.read(path, signal);
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as object;
  } catch (cause) {
    throw new RuntimeError('damaged', `${source.name}: ${path} is no JSON`, 'convert the bundle again', { cause });
  }
}

/** The same of a file that a bundle may be without: it says nothing then. @throws RuntimeError `damaged` */
export async function readJsonIfThere(source: BundleSource, path: string): Promise<object> {
  return readJson(source, path).catch((error: unknown) => {
    if (error instanceof RuntimeError && error.code === 'not_found') return {};
    throw error;
  });
}
