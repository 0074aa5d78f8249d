import type { Graph, Node, Program } from '../../../ir/graph.ts';
import {
  fixedCache,
  fuseAppendCache,
  runPasses,
  splitLargeWeights,
  type PassListener,
} from '../../../ir/passes/index.ts';
import { partition } from '../../../ir/partition.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { beforeLowering } from '../lower.ts';
import { hostTable, rowsByHost, type HostTable } from './host_table.ts';
import { shardOutputs, type Join } from './shard_outputs.ts';

/** The most that one tensor has as it is stored: loaders of browsers copy a tensor more than once. */
export const MAX_TENSOR_BYTES = 64 * 1024 * 1024;
/** Stored weights of a part, where nobody says how many layers it has. */
const PART_BYTES = 512 * 1024 * 1024;

/** One graph model. */
export interface PlannedPart {
  readonly folder: string;
  readonly graph: Graph;
  /** Outputs whose largest element is wanted too. */
  readonly largestOf: readonly string[];
  /** A head: its matrix lies row by row, since rows of it may be looked up as well. */
  readonly isHead: boolean;
}

/** A graph of the program as parts that run one after the other. */
export interface PlannedGraph {
  readonly name: string;
  /** With caches of fixed capacity, and before it was cut: what the parts take and give together. */
  readonly whole: Graph;
  readonly parts: readonly PlannedPart[];
  readonly joins: readonly Join[];
  readonly caches: readonly { readonly past: string; readonly present: string }[];
  readonly tables: readonly HostTable[];
}

export interface PartOptions {
  /** Default as many as have 512 MiB of weights. */
  readonly layersPerGraph?: number;
}

/** What each graph of a program becomes: pure, and no weight is read. */
export function partsOf(program: Program, options: PartOptions = {}, onPass?: PassListener): readonly PlannedGraph[] {
  return program.graphs.map((graph) => planGraph(graph, options, onPass));
}

function planGraph(graph: Graph, options: PartOptions, onPass?: PassListener): PlannedGraph {
  const found = hostTable(graph);
  // what layers share, as rows of the tables of angles, is one value before the cut: it is handed on, and its tables
  // are in one part
  const passes = [
    ...(found ? [rowsByHost(found)] : []),
    fuseAppendCache,
    fixedCache,
    splitLargeWeights(MAX_TENSOR_BYTES),
    ...beforeLowering,
  ];
  const prepared = runPasses(graph, passes, onPass);
  const caches = cachesOf(prepared);
  const base = { name: graph.name, whole: prepared, tables: found ? [found.table] : [] };
  if (caches.length === 0)
    return {
      ...base,
      parts: [{ folder: folderOf(graph.name), graph: prepared, largestOf: [], isHead: false }],
      joins: [],
      caches,
    };
  const { graph: sharded, joins, heads } = shardOutputs(prepared);
  const body = layerPieces(sharded, new Set(heads.flatMap((nodes) => [...nodes])), options);
  const bodies = Math.max(...body.values()) + 1;
  const pieceOf = sharded.nodes.map((node) => {
    const head = heads.findIndex((nodes) => nodes.has(node));
    return head >= 0 ? bodies + head : body.get(node)!;
  });
  const name = (piece: number) => (piece < bodies ? `${graph.name}_${pad(piece)}` : `head_${pad(piece - bodies)}`);
  const largest = new Set(joins.flatMap(({ pieces }) => pieces));
  const parts = partition(sharded, pieceOf, name).map((piece, i): PlannedPart => ({
    folder: name(i),
    graph: piece,
    largestOf: piece.outputs.flatMap((port) => (largest.has(port.name) ? [port.name] : [])),
    isHead: i >= bodies,
  }));
  return { ...base, parts, joins, caches };
}

const pad = (number: number) => String(number).padStart(2, '0');

/** `vision_encoder` is `vision`: what it does needs no second word in a folder's name. */
function folderOf(graph: string): string {
  return graph.replace(/_encoder$/, '');
}

/** Inputs that are updated, and the outputs that they become. */
function cachesOf({ nodes, outputs }: Graph): readonly { readonly past: string; readonly present: string }[] {
  return nodes.flatMap((node) => {
    if (node.op !== 'update_cache') return [];
    const port = outputs.find(({ value }) => value === node.outputs[0]);
    return port ? [{ past: node.inputs[0]!.name, present: port.name }] : [];
  });
}

/** Cuts behind stages, which are where one layer ends and the next begins. */
function layerPieces(
  graph: Graph,
  heads: ReadonlySet<Node>,
  { layersPerGraph }: PartOptions,
): ReadonlyMap<Node, number> {
  const ends = new Set(graph.stages.map(({ value }) => value));
  const weights = new Map(graph.constants.flatMap((c) => (c.kind === 'weight' ? [[c.value, c.data] as const] : [])));
  const pieces = new Map<Node, number>();
  let [piece, layers, bytes] = [0, 0, 0];
  const seen = new Set<TensorData>();
  const nodes = graph.nodes.filter((node) => !heads.has(node));
  const bytesOf = (node: Node) =>
    node.inputs.reduce(
      (sum, value) =>
        sum +
        (weights.has(value) && !seen.has(weights.get(value)!)
          ? (seen.add(weights.get(value)!), weights.get(value)!.byteLength)
          : 0),
      0,
    );
  const lastWithWeights = nodes.findLastIndex((node) => node.inputs.some((value) => weights.has(value)));
  for (const [i, node] of nodes.entries()) {
    pieces.set(node, piece);
    bytes += bytesOf(node);
    if (!node.outputs.some((value) => ends.has(value)) || i >= lastWithWeights) continue;
    layers++;
    // the next layer is about as large as those before
    const isFull = layersPerGraph === undefined ? bytes + bytes / layers > PART_BYTES : layers >= layersPerGraph;
    if (!isFull) continue;
    piece++;
    [layers, bytes] = [0, 0];
  }
  return pieces;
}
