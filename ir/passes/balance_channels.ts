import type { Constant, Graph, Node, NodeOf, Value } from '../graph.ts';
import { emitNode, rewriteGraph } from '../rewrite.ts';
import type { TensorData } from '../tensor.ts';
import { sameType } from '../type.ts';
import { channelSquares, scaleChannels, type ChannelAxis, type Factors } from '../views/scale_channels.ts';
import type { Pass } from './pass.ts';

/** No channel is scaled by more: one that a norm all but closes would grow without end. */
const LARGEST_FACTOR = 2 ** 8;

/** Results whose channels are scaled have names of their own: under the old ones are other values. */
const SUFFIX = '.balanced';

/** What this pass has made: a second run finds nothing. */
const balanced = new WeakSet<TensorData>();

/**
 * Columns of matrices become of like size, so that codes, whose scales many columns share, take them better: what makes
 * a channel is multiplied by a number, and the columns that read it are divided by it. Channels are those of a norm
 * (into q, k and v, or gate and up), of the product in a gated MLP (up into down), and of values that pass through
 * attention (v into o), but for those that a KV cache holds. Nothing but weights is looked at: whoever has them makes
 * the same codes.
 *
 * The number is r^¾ / m^¼ over its geometric mean, where r is the size of what reads a channel (the root of the sum of
 * squares of its columns) and m that of what makes it, in the place of the size of the activation. It makes the error
 * Σ m²f²·Δ² least where the step of a block is Δ ~ (Σ (r/f)^p)^(1/p): with p = 6, between the root mean square and the
 * largest of its 32 columns. With p = 2 it would be √(r/m), with p = ∞ columns of one size (cross-layer equalization,
 * arXiv:1906.04721). AWQ (arXiv:2306.00978) searches such a power of what was seen of activations.
 */
export const balanceChannels: Pass = balanceBy(factorsOf);

/** The same with other numbers, which are asked for when weights are read. */
export function balanceBy(numbersOf: (channels: Channels) => Promise<Float64Array>): Pass {
  return {
    name: 'balance_channels',
    doc: 'Channels of norms, gated MLPs and attention are scaled, and the columns that read them by the inverse.',
    rounds: 'f32',
    run(graph) {
      const scaled = new Map<Constant, TensorData>();
      const scale = (weight: Weight, axis: ChannelAxis, factors: Factors) =>
        void scaled.set(weight, scaleChannels(scaled.get(weight) ?? weight.data, axis, factors));
      const carriers = new Set<Node>();
      for (const channels of channelsOf(graph)) {
        const factors = once(() => numbersOf(channels));
        const inverses = once(async () => (await factors()).map((factor) => 1 / factor));
        for (const maker of channels.makers) scale(maker, 'first', factors);
        for (const reader of channels.readers) scale(reader, 'last', inverses);
        for (const node of channels.nodes) carriers.add(node);
      }
      for (const data of scaled.values()) balanced.add(data);
      return rewriteGraph(
        graph,
        (node, { inputs, builder }) => (carriers.has(node) ? emitNode(builder, renamed(node), inputs) : undefined),
        (constant) => {
          const data = scaled.get(constant);
          return data && constant.kind === 'weight' ? { ...constant, data } : constant;
        },
      );
    },
  };
}

type Weight = Extract<Constant, { kind: 'weight' }>;

/** What one set of channels is made, carried and read by. */
export interface Channels {
  /** Their first axis is the channels': a norm's scale and bias, or a matrix and its bias. */
  readonly makers: readonly Weight[];
  /** Whose results have them. */
  readonly nodes: readonly Node[];
  /** Matrices [N, channels]. */
  readonly readers: readonly Weight[];
}

function channelsOf(graph: Graph): readonly Channels[] {
  const uses = usesOf(graph);
  const weights = new Map(graph.constants.flatMap((c) => (c.kind === 'weight' ? [[c.value, c] as const] : [])));
  /** Weights that are read in one place alone: scaled, they mean something else everywhere. */
  const owned = (values: readonly Value[]): readonly Weight[] | undefined => {
    const found = values.map((value) => (uses.get(value)?.length === 1 ? weights.get(value) : undefined));
    const isOwn = (weight: Weight | undefined): weight is Weight =>
      weight?.data.dtype === 'f32' && !balanced.has(weight.data);
    return found.every(isOwn) ? found : undefined;
  };
  const readersOf = (value: Value) => {
    const users = uses.get(value) ?? [];
    const isOfProducts = users.length > 0 && users.every(({ node, operand }) => node?.op === 'linear' && operand === 0);
    return isOfProducts ? owned(users.map(({ node }) => node!.inputs[1]!)) : undefined;
  };
  return graph.nodes.flatMap((node): Channels[] => {
    const isNorm = node.op === 'rms_norm' || node.op === 'layer_norm';
    if (!isNorm && node.op !== 'linear') return [];
    const nodes = isNorm ? [node] : carriersBehind(node, uses);
    const makers = owned(node.inputs.slice(1));
    const readers = nodes && readersOf(nodes.at(-1)!.outputs[0]!);
    return makers && readers ? [{ makers, nodes, readers }] : [];
  });
}

/** A product and the nodes through which its channels pass: into a gated MLP's product, or through attention. */
function carriersBehind(product: NodeOf<'linear'>, uses: ReadonlyMap<Value, readonly Use[]>): Node[] | undefined {
  const next = (node: Node | undefined) => {
    const users = (node && uses.get(node.outputs[0]!)) ?? [];
    return users.length === 1 ? users[0] : undefined;
  };
  const first = next(product)?.node;
  if (first?.op === 'mul' && sameType(first.inputs[0]!.type, first.inputs[1]!.type)) return [product, first];
  const turned = next(first);
  const attention = next(turned?.node);
  const joined = next(attention?.node);
  if (
    first?.op !== 'reshape' ||
    turned?.node?.op !== 'transpose' ||
    turned.node.attrs.perm.join() !== HEADS_FIRST ||
    attention?.node?.op !== 'attention' ||
    attention.operand !== VALUES ||
    joined?.node?.op !== 'reshape'
  )
    return undefined;
  // each head has values of its own, and nothing but heads is cut and joined
  const [heads, width] = first.outputs[0]!.type.shape.slice(-2);
  const [, , queryHeads] = attention.node.outputs[0]!.type.shape;
  const isCutInHeads = first.outputs[0]!.type.shape.length === 4 && heads === queryHeads;
  const isWhole = sameType(joined.node.outputs[0]!.type, product.outputs[0]!.type);
  return isCutInHeads && typeof width === 'number' && isWhole
    ? [product, first, turned.node, attention.node, joined.node]
    : undefined;
}

/** [B, S, N, H] to [B, N, S, H]. */
const HEADS_FIRST = '0,2,1,3';
/** The operand of `attention` that is added up. */
const VALUES = 2;

/** Where a value goes: an operand of a node, or out of the graph. */
interface Use {
  readonly node: Node | undefined;
  readonly operand: number;
}

function usesOf({ nodes, outputs, stages }: Graph): ReadonlyMap<Value, readonly Use[]> {
  const uses = new Map<Value, Use[]>();
  const add = (value: Value, use: Use) => {
    const known = uses.get(value);
    if (known) known.push(use);
    else uses.set(value, [use]);
  };
  for (const node of nodes) for (const [operand, value] of node.inputs.entries()) add(value, { node, operand });
  for (const { value } of [...outputs, ...stages]) add(value, { node: undefined, operand: 0 });
  return uses;
}

function renamed(node: Node): Node {
  return { ...node, outputs: node.outputs.map((value) => ({ ...value, name: `${value.name}${SUFFIX}` })) };
}

/** What each channel is multiplied by; 1 where nothing makes or reads it, or a weight is not finite. */
async function factorsOf({ makers, readers }: Channels): Promise<Float64Array> {
  const made = await squaresOf(makers, 'first');
  const read = await squaresOf(readers, 'last');
  const logs = read.map((squares, channel) => (3 * Math.log(squares) - Math.log(made[channel]!)) / 8);
  const finite = logs.filter(Number.isFinite);
  const mean = finite.reduce((sum, log) => sum + log, 0) / finite.length;
  const most = Math.log(LARGEST_FACTOR);
  return logs.map((log) => (Number.isFinite(log) ? Math.exp(Math.max(-most, Math.min(most, log - mean))) : 1));
}

/** Of each channel the sum of squares over all weights. */
async function squaresOf(all: readonly Weight[], axis: ChannelAxis): Promise<Float64Array> {
  let sums: Float64Array | undefined;
  // one by one: a transposed matrix is held while it is read
  for (const { data } of all) {
    const own = await channelSquares(data, axis);
    sums = sums?.map((sum, channel) => sum + own[channel]!) ?? own;
  }
  return sums!;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
