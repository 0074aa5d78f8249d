import { dirname, posix } from 'node:path';
import type { Source } from './sample.ts';

const IMPORT = /(?:from|import\()\s*'(\.[^']+)'|new URL\('(\.[^']+)', import\.meta\.url\)/g;

/** Which files import which, and so which tests see a file. */
export class ImportGraph {
  readonly #importers = new Map<string, string[]>();

  constructor(sources: readonly Source[]) {
    for (const { path, text } of sources)
      for (const [, imported, loaded] of text.matchAll(IMPORT)) {
        const target = posix.normalize(`${dirname(path)}/${imported ?? loaded}`);
        this.#link(path, target);
      }
    // tests that build the tree and start the command line
    for (const { path, text } of sources) if (text.includes('testBuild()')) this.#link(path, 'converter/cli.ts');
  }

  #link(path: string, target: string): void {
    this.#importers.set(target, [...(this.#importers.get(target) ?? []), path]);
  }

  /** Tests that reach a file by imports, by their steps; of those as near, its own first, then those beside it. */
  testsOf(path: string): readonly string[] {
    const steps = new Map([[path, 0]]);
    for (const [at, step] of steps)
      for (const importer of this.#importers.get(at) ?? []) if (!steps.has(importer)) steps.set(importer, step + 1);
    const own = path.replace(/\.[jt]s$/, '.');
    const beside = (test: string) => (test.startsWith(own) ? 0 : dirname(test) === dirname(path) ? 1 : 2);
    return [...steps]
      .filter(([at]) => at.endsWith('.test.ts'))
      .sort(([a, m], [b, n]) => m - n || beside(a) - beside(b) || (a < b ? -1 : 1))
      .map(([at]) => at);
  }
}
