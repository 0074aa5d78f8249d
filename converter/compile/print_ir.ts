import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Graph, Program } from '../../ir/graph.ts';
import type { PassRun } from '../../ir/passes/index.ts';
import { printGraph } from '../../ir/print.ts';
import { createFile, makeFolders, removePath } from '../disk.js';
import { OutputError, UsageError } from '../errors.ts';
import { outputError } from '../output_error.ts';

/** Behind which passes graphs are written. */
export type IrPlaces = 'all' | { readonly after: string };

/** Files of a folder, by their path in it. */
export type IrTexts = ReadonlyMap<string, string>;

/**
 * `<graph>/<nn>-<pass>.ir`, the text of every graph behind each pass, by the order in which passes ran over it, and
 * `<graph>/00.ir`, as its family built it. Of weights there is the place, not the bytes.
 * @throws UsageError for a pass that did not run, with those that did
 */
export function irTexts({ graphs }: Program, runs: readonly PassRun[], places: IrPlaces): IrTexts {
  const names = [...new Set(runs.map(({ pass }) => pass.name))];
  if (places !== 'all' && !names.includes(places.after))
    throw new UsageError('unknown_pass', `no pass "${places.after}" ran`, {
      hint: `choose one of ${names.join(', ')}, or all`,
    });
  const texts = new Map<string, string>();
  const counts = new Map<string, number>();
  if (places === 'all') for (const graph of graphs) texts.set(pathOf(graph, 0), printGraph(graph));
  for (const { pass, after } of runs) {
    const number = (counts.get(after.name) ?? 0) + 1;
    counts.set(after.name, number);
    if (places === 'all' || places.after === pass.name) texts.set(pathOf(after, number, pass.name), printGraph(after));
  }
  return texts;
}

function pathOf({ name }: Graph, number: number, pass?: string): string {
  return join(name, `${String(number).padStart(2, '0')}${pass === undefined ? '' : `-${pass}`}.ir`);
}

/** Where texts go: beside the bundle, which holds what its manifest lists. */
export function irFolder(out: string): string {
  return `${out}.ir`;
}

/**
 * Refuses a folder that is there, before the work. Texts of another run beside new ones would mislead.
 * @throws OutputError `exists`
 */
export async function checkIrFolder(dir: string): Promise<void> {
  if (await stat(dir).catch(() => undefined))
    throw new OutputError('exists', 'the folder for the text of graphs exists', {
      file: dir,
      hint: 'remove it, or choose another path with --out',
    });
}

/** Writes texts into a new folder, whole or not at all. @throws OutputError */
export async function writeIr(dir: string, texts: IrTexts): Promise<void> {
  try {
    for (const [path, text] of texts) {
      await makeFolders(join(dir, path, '..'));
      await createFile(join(dir, path), text);
    }
  } catch (error) {
    await removePath(dir);
    throw outputError(error, dir);
  }
}
