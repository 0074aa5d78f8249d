import { RuntimeError } from '../../client/errors.ts';
import { readJson, type BundleSource } from '../../client/sources/source.ts';
import { parsePlan, PLAN_PATH, PlanError, weightGroup, type TfjsPlan, type WeightGroup, type WeightSpec } from '../plan.ts';
import { KNOWN_OPS } from '../known_ops.ts';

/** A weight and where its bytes lie. */
export interface PlacedWeight {
  readonly spec: WeightSpec;
  /** Path of the file in the bundle. */
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** One graph model before it is loaded: its model.json, and its weights in order. */
export interface PartFiles {
  readonly folder: string;
  readonly json: { readonly modelTopology: { readonly node: readonly { readonly name: string; readonly op: string }[] } } & Readonly<Record<string, unknown>>;
  readonly weights: readonly PlacedWeight[];
  /** Node of each stage. */
  readonly stages: Readonly<Record<string, string>>;
}

export interface TfjsBundle {
  readonly source: BundleSource;
  readonly plan: TfjsPlan;
  readonly parts: ReadonlyMap<string, PartFiles>;
  /** Bytes of each file. */
  readonly sizes: ReadonlyMap<string, number>;
}

const STORED_BYTES = { float32: 4, int32: 4, bool: 1, uint8: 1, float16: 2 } as const;

/** Bytes of a weight as it is stored. */
export function storedBytes({ shape, dtype, quantization }: WeightSpec): number {
  return shape.reduce((product, size) => product * size, 1) * STORED_BYTES[quantization?.dtype ?? dtype];
}

/**
 * The plan of a bundle and its graph models, checked against each other before any weight is read.
 * @throws RuntimeError `damaged`, `newer_version`, `not_found`; the signal's reason
 */
export async function readBundle(source: BundleSource, signal?: AbortSignal): Promise<TfjsBundle> {
  const plan = await planOf(source, signal);
  const sizes = new Map(plan.files.map(({ path, bytes }) => [path, bytes]));
  const parts = new Map<string, PartFiles>();
  for (const { folder } of plan.graphs.flatMap((graph) => graph.parts)) {
    signal?.throwIfAborted();
    parts.set(folder, await readPart(source, folder, sizes));
  }
  for (const table of plan.graphs.flatMap((graph) => graph.tables)) placeWeights(source, '', table.weights, sizes);
  return { source, plan, parts, sizes };
}

async function planOf(source: BundleSource, signal?: AbortSignal): Promise<TfjsPlan> {
  const bytes = await source.read(PLAN_PATH, signal);
  try {
    return parsePlan(new TextDecoder().decode(bytes));
  } catch (cause) {
    if (!(cause instanceof PlanError)) throw cause;
    throw new RuntimeError(cause.code === 'newer' ? 'newer_version' : 'damaged', `${source.name}: ${cause.message}`, undefined, { cause });
  }
}

async function readPart(source: BundleSource, folder: string, sizes: ReadonlyMap<string, number>): Promise<PartFiles> {
  const path = `${folder}/model.json`;
  const json = (await readJson(source, path)) as PartFiles['json'] & { readonly weightsManifest?: unknown; readonly userDefinedMetadata?: { readonly stages?: Readonly<Record<string, string>> } };
  const nodes = json.modelTopology?.node;
  if (!Array.isArray(nodes)) throw damaged(source, `${path} has no graph`);
  for (const { name, op } of nodes) if (!KNOWN_OPS.has(op)) throw damaged(source, `${path}: node ${name} is an unknown op, ${op}`);
  const groups = weightGroup.array().safeParse(json.weightsManifest);
  if (!groups.success) throw damaged(source, `${path}: its weightsManifest is not one: ${groups.error.issues[0]?.message} at ${groups.error.issues[0]?.path.join('.')}`);
  const weights = placeWeights(source, `${folder}/`, groups.data, sizes);
  const known = new Set(weights.map(({ spec }) => spec.name));
  const missing = nodes.find(({ name, op }) => op === 'Const' && !known.has(name));
  if (missing) throw damaged(source, `${path}: the weight ${missing.name} is in no file`);
  return { folder, json, weights, stages: json.userDefinedMetadata?.stages ?? {} };
}

/** Where each weight of groups lies. @throws RuntimeError `damaged` when shapes and the bytes of files do not agree */
export function placeWeights(source: BundleSource, folder: string, groups: readonly WeightGroup[], sizes: ReadonlyMap<string, number>): readonly PlacedWeight[] {
  return groups.flatMap(({ paths, weights }) => {
    const [path, ...more] = paths;
    const file = `${folder}${path}`;
    if (more.length > 0) throw damaged(source, `${file}: weights in pieces of several files, which pgconv does not write`);
    const bytes = sizes.get(file);
    if (bytes === undefined) throw damaged(source, `${file} is not in the list of files of ${PLAN_PATH}`);
    let offset = 0;
    const placed = weights.map((spec): PlacedWeight => {
      const byteLength = storedBytes(spec);
      offset += byteLength;
      return { spec, file, offset: offset - byteLength, byteLength };
    });
    if (offset !== bytes) throw damaged(source, `${file} has ${bytes} bytes, and its weights (${weights.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).slice(0, 3).join(', ')}${weights.length > 3 ? ', …' : ''}) need ${offset}`);
    return placed;
  });
}

export function damaged(source: BundleSource, message: string): RuntimeError {
  return new RuntimeError('damaged', `${source.name}: ${message}`, 'copy or convert the bundle again');
}
