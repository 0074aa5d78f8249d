import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

/** What a page loads from the start: not what it imports when a call needs it. */
export interface PageSize {
  readonly gzipped: number;
  readonly plain: number;
  /** Modules that are left to import, at any time. */
  readonly imports: readonly string[];
}

/**
 * A module and all that it imports, as a bundler for browsers makes it small.
 * @throws Error for what a bundler warns of, as a module of Node
 */
export async function pageSize(input: string, external: readonly (string | RegExp)[]): Promise<PageSize> {
  const bundle = await rolldown({
    input,
    platform: 'browser',
    external: [...external],
    logLevel: 'warn',
    onLog: (_, { message }) => {
      throw new Error(message);
    },
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const chunks = output.flatMap((file) => (file.type === 'chunk' ? [file] : []));
  const own = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  const loaded = new Set(chunks.filter(({ isEntry }) => isEntry));
  // a set grows while it is walked
  for (const { imports } of loaded) for (const name of imports) if (own.has(name)) loaded.add(own.get(name)!);
  const codes = Array.from(loaded, ({ code }) => code);
  return {
    gzipped: codes.reduce((sum, code) => sum + gzipSync(code, { level: 9 }).byteLength, 0),
    plain: codes.reduce((sum, code) => sum + code.length, 0),
    imports: chunks
      .flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
      .filter((name) => !own.has(name)),
  };
}
