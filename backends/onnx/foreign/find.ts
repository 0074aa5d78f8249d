import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { BackendError } from '../../error.ts';
import type { ForeignOptions } from '../../foreign.ts';
import { EXTENSION } from '../describe.ts';
import { readModelFile } from '../decode.ts';
import type { GraphProto } from '../proto/onnx_pb.ts';
import { checkOurNames, hasTensor, portsOf, type ForeignPorts, type Role } from './ports.ts';

/** A model file of an export. */
export interface ForeignGraph {
  readonly path: string;
  readonly graph: GraphProto;
  readonly ports: ForeignPorts;
}

/** Model files below a folder, where transformers.js looks: in `onnx/`, else beside the configs. */
export async function modelFiles(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return path.endsWith(EXTENSION) ? [path] : [];
  if (!found?.isDirectory()) return [];
  for (const folder of [join(path, 'onnx'), path]) {
    const names = await readdir(folder).catch(() => []);
    const files = names.filter((name) => name.endsWith(EXTENSION)).toSorted();
    if (files.length > 0) return files.map((name) => join(folder, name));
  }
  return [];
}

/** Folder of a bundle, for a folder or for one of its files. */
export async function folderOf(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? resolve(path) : dirname(resolve(path));
}

/** Every model file with what its ports are; those that `variantSuffix` does not mean are left out. */
export async function readGraphs(
  path: string,
  { map = new Map(), variantSuffix }: ForeignOptions,
): Promise<readonly ForeignGraph[]> {
  checkOurNames(map);
  const all: ForeignGraph[] = [];
  for (const file of await modelFiles(path)) {
    const { model } = await readModelFile(file);
    all.push({ path: file, graph: model.graph, ports: portsOf(model.graph, map) });
  }
  for (const [ours, theirs] of map)
    if (!all.some(({ ports }) => hasTensor(ports, theirs)))
      throw new BackendError('unmapped-ports', `--map ${ours}=${theirs}: no graph has a tensor "${theirs}"`, {
        file: path,
        hint: 'see the names with `pgconv inspect`',
      });
  return variantSuffix === undefined ? all : all.filter((graph) => isMeant(graph, all, variantSuffix));
}

function isMeant(graph: ForeignGraph, all: readonly ForeignGraph[], suffix: string): boolean {
  const alike = all.filter(({ ports }) => ports.role === graph.ports.role).map(({ path }) => stem(path));
  const own = stem(graph.path);
  return suffix === 'none' ? alike.every((other) => own.length <= other.length) : own.endsWith(suffix);
}

function stem(path: string): string {
  return basename(path, EXTENSION);
}

/**
 * The one file of each role.
 * @throws BackendError `ambiguous-graphs` where there are several of a role, `bundle-missing` without a decoder
 */
export function oneOfEach(path: string, graphs: readonly ForeignGraph[]): ReadonlyMap<Role, ForeignGraph> {
  const found = new Map<Role, ForeignGraph>();
  for (const role of ['vision_encoder', 'embed_tokens', 'decoder'] as const) {
    const own = graphs.filter(({ ports }) => ports.role === role);
    if (own.length > 1)
      throw new BackendError(
        'ambiguous-graphs',
        `${own.length} files are a ${role}: ${own.map((graph) => basename(graph.path)).join(', ')}`,
        {
          file: path,
          hint: 'say which by the end of its name, as --variant-suffix _fp16, or none for the shortest name',
        },
      );
    if (own[0]) found.set(role, own[0]);
  }
  if (found.has('decoder')) return found;
  const others = graphs.map(
    ({ path: file, ports }) => `${basename(file)} (inputs ${ports.inputs.map(({ theirs }) => theirs).join(', ')})`,
  );
  throw new BackendError(
    'unmapped-ports',
    `no file is a decoder, with inputs_embeds and a KV cache; there are ${others.join('; ') || 'none of that suffix'}`,
    { file: path, hint: 'say what its ports are with --map ours=theirs, as --map inputs_embeds=x' },
  );
}
