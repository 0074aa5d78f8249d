import type { GraphBuilder } from '../builder.ts';
import { byteLengthOf, type DType } from '../dtypes/index.ts';
import type { Constant, Node, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { nodeHasTrait, type NodeWith, type OpWith } from '../ops/traits.ts';
import { emitNode, rewriteGraph } from '../rewrite.ts';
import { elementCount, type TensorData } from '../tensor.ts';
import { sliceRows } from '../views/select.ts';
import type { Pass } from './pass.ts';

/** Shards start at multiples of this many rows, so that kernels see aligned widths. */
const ROW_ALIGNMENT = 64;

/**
 * Weights of more than `maxBytes` are cut along their rows, codes of blocks with their scales and zero points: a linear
 * layer becomes one per shard, joined; an embedding looks each id up in its own shard. The head and the table of a 3B
 * exceed what a browser's ArrayBuffer, a WebGPU binding or one file of external data can hold, and transposing them
 * would hold them whole. A matrix that is stored narrow and widened before use is cut as it is stored.
 */
export function splitLargeWeights(maxBytes: number): Pass {
  return {
    name: 'split_large_weights',
    doc: `Linear and embedding weights of more than ${maxBytes} bytes are cut into shards of rows.`,
    run: (graph) =>
      rewriteGraph(graph, (node, { inputs, builder, definitionOf }) => {
        if (!isOverMatrix(node)) return undefined;
        const found = MATRIX_OPERANDS[node.op].flatMap((operand) =>
          inputs[operand] ? [storedBehind(inputs[operand], definitionOf)] : [],
        );
        if (!found.every((stored) => stored !== undefined)) return undefined;
        if (found[0]!.weight.data.byteLength <= maxBytes) return undefined;
        const parts = shardsOf(found, maxBytes);
        // of one or two rows there is nothing to cut
        if (parts.length === 1) return undefined;
        const shards = parts.map(({ first, data }, i) => ({
          first,
          rows: data[0]!.shape[0]!,
          values: data.map((part, k) => valueOf(builder, found[k]!, part, i)),
        }));
        return [
          nodeHasTrait(node, 'linear')
            ? splitLinear(builder, node, inputs, shards)
            : splitGather(builder, node, inputs, shards),
        ];
      }),
  };
}

/**
 * Where an op takes a matrix: its rows are those of the weight and of what belongs to each row. The first is the
 * largest.
 */
const MATRIX_OPERANDS: { readonly [N in OpWith<'linear' | 'lookup'>]: readonly number[] } = {
  linear: [1],
  gather: [0],
  quantized_linear: [1, 2, 3],
  quantized_gather: [0, 2, 3],
};

type MatrixNode = NodeWith<'linear' | 'lookup'>;

function isOverMatrix(node: Node): node is MatrixNode {
  return Object.hasOwn(MATRIX_OPERANDS, node.op);
}

type WeightConstant = Extract<Constant, { kind: 'weight' }>;

/** A weight, and the dtype that it is widened to where it is not used as it is stored. */
interface Stored {
  readonly weight: WeightConstant;
  readonly widenedTo?: DType;
}

function storedBehind(value: Value, definitionOf: (value: Value) => Node | Constant | undefined): Stored | undefined {
  const definition = definitionOf(value);
  if (definition === undefined) return undefined;
  if ('kind' in definition) return definition.kind === 'weight' ? { weight: definition } : undefined;
  const behind = definition.op === 'cast' ? definitionOf(definition.inputs[0]!) : undefined;
  return behind !== undefined && 'kind' in behind && behind.kind === 'weight'
    ? { weight: behind, widenedTo: value.type.dtype }
    : undefined;
}

function valueOf(b: GraphBuilder, { weight, widenedTo }: Stored, rows: TensorData, shard: number): Value {
  const value = b.weight(`${weight.value.name}.${shard}`, rows);
  // what is stored of a shard is told by its name
  return widenedTo === undefined ? value : b.node(ops.cast, [value], { to: widenedTo }, [`${value.name}.widened`])[0]!;
}

/** Rows from `first` on of each part of a weight. */
interface Shard {
  readonly first: number;
  readonly data: readonly TensorData[];
}

/** The same as values of the graph. */
interface ShardValues {
  readonly first: number;
  readonly rows: number;
  readonly values: readonly Value[];
}

/**
 * As few shards as fit, of nearly the same size. An even number of rows: an odd number of 4-bit zero points ends within
 * a byte.
 */
function shardsOf(parts: readonly Stored[], maxBytes: number): readonly Shard[] {
  const { data } = parts[0]!.weight;
  const rows = data.shape[0]!;
  const rowBytes = byteLengthOf(data.dtype, elementCount(data.shape.slice(1)));
  const count = Math.ceil(data.byteLength / maxBytes);
  const even = Math.ceil(rows / count / ROW_ALIGNMENT) * ROW_ALIGNMENT;
  const step = even * rowBytes <= maxBytes ? even : Math.max(2, Math.floor(maxBytes / rowBytes / 2) * 2);
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => ({
    first: i * step,
    data: parts.map(({ weight }) => sliceRows(weight.data, i * step, Math.min(rows, (i + 1) * step))),
  }));
}

/** The op over one shard in place of the whole weight. */
function over(b: GraphBuilder, node: MatrixNode, inputs: readonly Value[], { values }: ShardValues): Value {
  const operands = [...inputs];
  MATRIX_OPERANDS[node.op].forEach((operand, i) => {
    if (values[i]) operands[operand] = values[i];
  });
  return emitNode(b, { ...node, outputs: [] }, operands)[0]!;
}

function splitLinear(
  b: GraphBuilder,
  node: NodeWith<'linear'>,
  inputs: readonly Value[],
  shards: readonly ShardValues[],
): Value {
  const bias = node.op === 'linear' ? inputs[2] : undefined;
  const parts = shards.map((shard) => {
    const own = bias && b.op(ops.slice, [bias], { axis: 0, begin: shard.first, end: shard.first + shard.rows });
    return over(b, node, own ? [inputs[0]!, inputs[1]!, own] : inputs, shard);
  });
  return b.op(ops.concat, parts, { axis: inputs[0]!.type.shape.length - 1 });
}

/**
 * Shard i answers for ids from its first row on: the last one wins. Ids outside the table still fail in the last shard.
 * Conditions are comparisons alone: joined by and, they would be made on a GPU and fetched from it for the ids, which
 * stay on the CPU.
 */
function splitGather(
  b: GraphBuilder,
  node: NodeWith<'lookup'>,
  inputs: readonly Value[],
  shards: readonly ShardValues[],
): Value {
  const ids = inputs[1]!;
  const integer = (value: number) => b.literal(ids.type.dtype, [], [value]);
  const from = (first: number) => b.op(ops.less_equal, [integer(first), ids], {});
  const rowsOf = (shard: ShardValues, local: Value) => over(b, node, inputs.with(1, local), shard);
  return shards.slice(1).reduce(
    (rows, shard, i) => {
      const own = from(shard.first);
      const next = shards[i + 2];
      const behind = b.op(ops.where, [own, b.op(ops.sub, [ids, integer(shard.first)], {}), integer(0)], {});
      const local = next ? b.op(ops.where, [from(next.first), integer(0), behind], {}) : behind;
      const condition = b.op(ops.reshape, [own], { shape: [...ids.type.shape, 1] });
      return b.op(ops.where, [condition, rowsOf(shard, local), rows], {});
    },
    rowsOf(shards[0]!, b.op(ops.where, [from(shards[1]!.first), integer(0), ids], {})),
  );
}
