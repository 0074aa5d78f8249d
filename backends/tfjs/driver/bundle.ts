import * as z from 'zod/mini';
import { RuntimeError } from '../../client/errors.ts';
import { readJson, type BundleSource } from '../../client/sources/source.ts';
import {
  parsePlan,
  PLAN_PATH,
  PlanError,
  weightGroup,
  type GraphPlan,
  type TfjsPlan,
  type WeightGroup,
  type WeightSpec,
} from '../plan.ts';
import { KNOWN_OPS } from '../known_ops.ts';

/** A weight and where its bytes lie. */
export interface PlacedWeight {
  readonly spec: WeightSpec;
  /** Path of the file in the bundle. */
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** What is read of a model.json here; the rest is for tfjs. */
const modelFile = z.looseObject({
  modelTopology: z.looseObject({
    node: z.array(z.looseObject({ name: z.string(), op: z.string(), input: z.optional(z.array(z.string())) })),
  }),
  weightsManifest: z.array(weightGroup),
  userDefinedMetadata: z.optional(z.looseObject({ stages: z.optional(z.record(z.string(), z.string())) })),
});
type ModelFile = z.infer<typeof modelFile>;

/** One graph model before it is loaded: its model.json, and its weights in order. */
export interface PartFiles {
  readonly folder: string;
  readonly json: ModelFile;
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
  for (const graph of plan.graphs) {
    checkConnections(source, graph);
    for (const part of graph.parts) parts.set(part.folder, await readPart(source, part, sizes, signal));
  }
  return { source, plan, parts, sizes };
}

/** Whether every part gets what it takes from the graph's inputs and the parts before it. */
function checkConnections(
  source: BundleSource,
  { name: graph, inputs, outputs, parts, joins, caches, tables }: GraphPlan,
): void {
  const known = new Set([...inputs.map(({ name }) => name), ...tables.map(({ input }) => input)]);
  const check = (user: string, names: readonly string[]) => {
    const missing = names.find((name) => !known.has(name));
    if (missing !== undefined)
      throw damaged(source, `${PLAN_PATH}: ${user} needs "${missing}", which nothing before it makes`);
  };
  check(
    graph,
    tables.map(({ ids }) => ids),
  );
  for (const part of parts) {
    check(part.folder, part.inputs);
    for (const output of part.outputs) known.add(output);
  }
  const joined = new Set(joins.map(({ output }) => output));
  check(
    graph,
    outputs.flatMap(({ name }) => (joined.has(name) ? [] : [name])),
  );
  check(
    graph,
    joins.flatMap(({ pieces }) => pieces.flatMap((piece) => [piece, `${piece}.best`, `${piece}.max`])),
  );
  check(
    graph,
    caches.flatMap(({ past, present }) => [past, present]),
  );
}

async function planOf(source: BundleSource, signal?: AbortSignal): Promise<TfjsPlan> {
  const bytes = await source.read(PLAN_PATH, signal);
  try {
    return parsePlan(new TextDecoder().decode(bytes));
  } catch (cause) {
    if (!(cause instanceof PlanError)) throw cause;
    throw new RuntimeError(
      cause.code === 'newer' ? 'newer_version' : 'damaged',
      `${source.name}: ${cause.message}`,
      undefined,
      { cause },
    );
  }
}

async function readPart(
  source: BundleSource,
  { folder, inputs, outputs }: GraphPlan['parts'][number],
  sizes: ReadonlyMap<string, number>,
  signal?: AbortSignal,
): Promise<PartFiles> {
  const path = `${folder}/model.json`;
  const parsed = modelFile.safeParse(await readJson(source, path, signal));
  if (!parsed.success) throw damaged(source, `${path} is no graph model: ${z.prettifyError(parsed.error)}`);
  const { modelTopology, weightsManifest, userDefinedMetadata } = parsed.data;
  const weights = placeWeights(source, `${folder}/`, weightsManifest, sizes);
  const stages = userDefinedMetadata?.stages ?? {};
  const nodes = new Map(modelTopology.node.map((node) => [node.name, node]));
  const stored = new Set(weights.map(({ spec }) => spec.name));
  for (const { name, op, input = [] } of nodes.values()) {
    if (!KNOWN_OPS.has(op)) throw damaged(source, `${path}: node ${name} is an unknown op, ${op}`);
    if (op === 'Const' && !stored.has(name)) throw damaged(source, `${path}: the weight ${name} is in no file`);
    if (op === 'Placeholder' && !inputs.includes(name))
      throw damaged(source, `${path} needs "${name}", which ${PLAN_PATH} does not give it`);
    const missing = input.find((other) => !nodes.has(other));
    if (missing !== undefined) throw damaged(source, `${path}: node ${name} needs ${missing}, which is not there`);
  }
  const missing = [...inputs, ...outputs, ...Object.values(stages)].find((name) => !nodes.has(name));
  if (missing !== undefined) throw damaged(source, `${path} has no node "${missing}"`);
  return { folder, json: parsed.data, weights, stages };
}

/** Where each weight of groups lies. @throws RuntimeError `damaged` when shapes and the bytes of files do not agree */
export function placeWeights(
  source: BundleSource,
  folder: string,
  groups: readonly WeightGroup[],
  sizes: ReadonlyMap<string, number>,
): readonly PlacedWeight[] {
  return groups.flatMap(({ paths, weights }) => {
    const [path, ...more] = paths;
    const file = `${folder}${path}`;
    if (more.length > 0)
      throw damaged(source, `${file}: weights in pieces of several files, which pgconv does not write`);
    const bytes = sizes.get(file);
    if (bytes === undefined) throw damaged(source, `${file} is not in the list of files of ${PLAN_PATH}`);
    let offset = 0;
    const placed = weights.map((spec): PlacedWeight => {
      const byteLength = storedBytes(spec);
      offset += byteLength;
      return { spec, file, offset: offset - byteLength, byteLength };
    });
    if (offset !== bytes)
      throw damaged(
        source,
        `${file} has ${bytes} bytes, and its weights (${weights
          .map(({ name, shape }) => `${name} [${shape.join(', ')}]`)
          .slice(0, 3)
          .join(', ')}${weights.length > 3 ? ', …' : ''}) need ${offset}`,
      );
    return placed;
  });
}

/** A file of the bundle that says what cannot be. */
export function damaged(source: BundleSource, message: string): RuntimeError {
  return new RuntimeError('damaged', `${source.name}: ${message}`, 'copy or convert the bundle again');
}
