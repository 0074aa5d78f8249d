import type { GraphBuilder } from '../builder.ts';
import { byteLengthOf } from '../dtypes/index.ts';
import type { Constant, Node, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { rewriteGraph } from '../rewrite.ts';
import { elementCount, type TensorData } from '../tensor.ts';
import { sliceRows } from '../views/select.ts';
import type { Pass } from './pass.ts';

/** Shards start at multiples of this many rows, so that kernels see aligned widths. */
const ROW_ALIGNMENT = 64;

/**
 * Weights of more than `maxBytes` are cut along their rows: a linear layer becomes one per shard, joined; an embedding
 * looks each id up in its own shard. The head and the table of a 3B exceed what a browser's ArrayBuffer, a WebGPU
 * binding or one file of external data can hold, and transposing them would hold them whole.
 */
export function splitLargeWeights(maxBytes: number): Pass {
  return {
    name: 'split_large_weights',
    doc: `Linear and embedding weights of more than ${maxBytes} bytes are cut into shards of rows.`,
    run: (graph) =>
      rewriteGraph(graph, (node, { inputs, builder, definitionOf }) => {
        if (node.op !== 'linear' && node.op !== 'gather') return undefined;
        const weight = definitionOf(inputs[node.op === 'linear' ? 1 : 0]!);
        if (!isLargeWeight(weight, maxBytes)) return undefined;
        const shards = shardsOf(weight.data, maxBytes);
        const values = shards.map(({ data }, i) => builder.weight(`${weight.value.name}.${i}`, data));
        return [node.op === 'linear' ? splitLinear(builder, inputs, shards, values) : splitGather(builder, inputs[1]!, shards, values)];
      }),
  };
}

interface Shard {
  readonly first: number;
  readonly data: TensorData;
}

function isLargeWeight(definition: Node | Constant | undefined, maxBytes: number): definition is Extract<Constant, { kind: 'weight' }> {
  return definition !== undefined && 'kind' in definition && definition.kind === 'weight' && definition.data.byteLength > maxBytes;
}

/** As few shards as fit, of nearly the same size. */
function shardsOf(data: TensorData, maxBytes: number): readonly Shard[] {
  const rows = data.shape[0]!;
  const rowBytes = byteLengthOf(data.dtype, elementCount(data.shape.slice(1)));
  const count = Math.ceil(data.byteLength / maxBytes);
  const even = Math.ceil(rows / count / ROW_ALIGNMENT) * ROW_ALIGNMENT;
  const step = Math.max(1, even * rowBytes <= maxBytes ? even : Math.floor(maxBytes / rowBytes));
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => ({ first: i * step, data: sliceRows(data, i * step, Math.min(rows, (i + 1) * step)) }));
}

function splitLinear(b: GraphBuilder, [x, , bias]: readonly Value[], shards: readonly Shard[], values: readonly Value[]): Value {
  const parts = values.map((value, i) => {
    const { first, data } = shards[i]!;
    const own = bias && b.op(ops.slice, [bias], { axis: 0, begin: first, end: first + data.shape[0]! });
    return b.op(ops.linear, own ? [x!, value, own] : [x!, value], {});
  });
  return b.op(ops.concat, parts, { axis: x!.type.shape.length - 1 });
}

/** Shard i answers for ids from its first row on: the last one wins. Ids outside the table still fail in the last shard. */
function splitGather(b: GraphBuilder, ids: Value, shards: readonly Shard[], values: readonly Value[]): Value {
  const integer = (value: number) => b.literal(ids.type.dtype, [], [value]);
  const from = (first: number) => b.op(ops.less_equal, [integer(first), ids], {});
  return shards.slice(1).reduce((rows, { first }, i) => {
    const own = from(first);
    const next = shards[i + 2];
    const inside = next ? b.op(ops.and, [own, b.op(ops.not, [from(next.first)], {})], {}) : own;
    const local = b.op(ops.where, [inside, b.op(ops.sub, [ids, integer(first)], {}), integer(0)], {});
    const condition = b.op(ops.reshape, [inside], { shape: [...ids.type.shape, 1] });
    return b.op(ops.where, [condition, b.op(ops.gather, [values[i + 1]!, local], {}), rows], {});
  }, b.op(ops.gather, [values[0]!, b.op(ops.where, [from(shards[1]!.first), integer(0), ids], {})], {}));
}
