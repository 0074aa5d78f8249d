import type { PageProvider } from '../devices.ts';

/** How bundles of a backend are opened in a page: by the client that users have. */
export interface PageClient {
  /** Our module that the page imports, from `backends/` on and as it is built: `wgsl/page.js` (`PageModule`). */
  readonly module: string;
  /** Packages that it imports by name, each by the file that browsers take: `flatbuffers/mjs/flatbuffers.js`. */
  readonly imports: Readonly<Record<string, string>>;
  /** Scripts of packages that come before it. */
  scripts?(provider: PageProvider): readonly string[];
  /** Packages whose files it fetches itself. */
  readonly packages?: readonly string[];
  /**
   * What the module is to know of a bundle, in JSON's terms. @throws BackendError for one that no page can hold
   */
  prepare?(dir: string, provider: PageProvider): Promise<unknown>;
}

/** The package that a file or a name is of: `@tensorflow/tfjs-core`. */
export function packageOf(path: string): string {
  return path.split('/', path.startsWith('@') ? 2 : 1).join('/');
}
