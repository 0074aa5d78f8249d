import type { Program } from '../../../ir/graph.ts';
import type { Runner } from '../../backend.ts';
import { open } from '../run.ts';
import { emittedBundle } from './emitted_bundle.ts';

export type OpenedBundle = { readonly runner: Runner } & AsyncDisposable;

/** A program's bundle in a temporary folder, open. */
export async function openedBundle(program: Program): Promise<OpenedBundle> {
  const bundle = await emittedBundle(program);
  const runner = await open(bundle.dir);
  return {
    runner,
    async [Symbol.asyncDispose]() {
      await runner.dispose();
      await bundle[Symbol.asyncDispose]();
    },
  };
}
