import type { CacheDirectory } from '../cache.ts';

/** A browser's own file system as far as the cache uses it. Written files are there when their stream is closed. */
export class MemoryDirectory implements CacheDirectory {
  readonly files = new Map<string, Blob>();
  /** Bytes that fit. */
  quota = Infinity;

  async getDirectoryHandle(): Promise<CacheDirectory> {
    return this;
  }

  async getFileHandle(name: string, options?: { readonly create: boolean }) {
    if (!options?.create && !this.files.has(name)) throw new Error('NotFoundError');
    return {
      getFile: async () => this.files.get(name) ?? new Blob([]),
      createWritable: async () => {
        const chunks: Uint8Array<ArrayBuffer>[] = [];
        return {
          write: async (chunk: Uint8Array) => {
            chunks.push(new Uint8Array(chunk));
            if (chunks.reduce((sum, { length }) => sum + length, 0) > this.quota) throw new Error('QuotaExceededError');
          },
          close: async () => void this.files.set(name, new Blob(chunks)),
          abort: async () => {},
        };
      },
    };
  }
}
