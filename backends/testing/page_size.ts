import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

/** What a page loads. */
export interface PageSize {
  readonly gzipped: number;
  readonly plain: number;
  /** Modules that it still imports. */
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
  const own = new Set(chunks.map(({ fileName }) => fileName));
  return {
    gzipped: chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).byteLength, 0),
    plain: chunks.reduce((sum, { code }) => sum + code.length, 0),
    imports: chunks
      .flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
      .filter((name) => !own.has(name)),
  };
}
