import type { FormatName } from '../../../ir/formats/index.ts';
import type { Constant, Graph, Value } from '../../../ir/graph.ts';
import { nodeHasTrait } from '../../../ir/ops/traits.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { eliminateDeadCode, type Pass } from '../../../ir/passes/index.ts';

/** A table whose rows the host looks up, unread: floats [R, columns], or blocks of codes. */
export interface HostTable {
  /** The graph's input that takes the rows: f32 [..ids, columns]. */
  readonly input: string;
  /** The input of ids that the rows are of. */
  readonly ids: string;
  readonly rows: number;
  readonly columns: number;
  readonly storage:
    | { readonly kind: 'float'; readonly data: TensorData }
    | {
        readonly kind: 'codes';
        readonly format: FormatName;
        readonly q: TensorData;
        readonly scales: TensorData;
        readonly zeros: TensorData | undefined;
      };
}

/** A graph whose table the host reads. */
export interface FoundTable {
  /** Without the table. */
  readonly graph: Graph;
  readonly table: HostTable;
}

/** What was found in a graph, as a pass over it. */
export function rowsByHost({ graph, table: { input, ids } }: FoundTable): Pass {
  return {
    name: 'rows_by_host',
    doc: 'The host looks rows of the one table up: they are an input in place of their ids.',
    run: () => graph,
    async inputsBehind(_, inputs, valueOf) {
      const others = Object.entries(inputs).filter(([name]) => name !== ids);
      return { ...Object.fromEntries(others), [input]: await valueOf(input) };
    },
  };
}

/**
 * A graph that looks ids up in one table and has no other weight gets the rows as an input in place of the ids: a table
 * of a large vocabulary would fill the device for a few rows. Undefined for other graphs.
 */
export function hostTable(graph: Graph): FoundTable | undefined {
  const weights = graph.constants.flatMap((constant) => (constant.kind === 'weight' ? [constant] : []));
  const lookups = graph.nodes.filter((node) => nodeHasTrait(node, 'lookup'));
  const [lookup, ...others] = lookups;
  if (!lookup || others.length > 0) return undefined;
  const dataOf = weightData(graph, weights);
  const [table, ids, scales, zeros] = lookup.inputs as readonly [Value, Value, Value?, Value?];
  const operands = [table, scales, zeros].flatMap((value) => (value ? [dataOf(value)] : []));
  if (!graph.inputs.includes(ids) || operands.some((data) => data === undefined) || operands.length !== weights.length)
    return undefined;
  const [data] = operands as [TensorData];
  const result = lookup.outputs[0]!;
  const rows: Value = { name: result.name, type: { dtype: 'f32', shape: result.type.shape } };
  const swap = (value: Value) => (value === result ? rows : value);
  const nodes = graph.nodes
    .filter((node) => node !== lookup)
    .map((node) => ({ ...node, inputs: node.inputs.map(swap) }));
  const rest: Graph = {
    ...graph,
    inputs: [...graph.inputs.filter((input) => input !== ids), rows],
    nodes,
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: swap(value) })),
    stages: graph.stages.map(({ name, value }) => ({ name, value: swap(value) })),
  };
  const storage =
    lookup.op === 'quantized_gather'
      ? { kind: 'codes' as const, format: lookup.attrs.format, q: data, scales: operands[1]!, zeros: operands[2] }
      : { kind: 'float' as const, data };
  return {
    graph: eliminateDeadCode.run(rest),
    table: {
      input: rows.name,
      ids: ids.name,
      rows: data.shape[0]!,
      columns: result.type.shape.at(-1) as number,
      storage,
    },
  };
}

/** The data of a weight, as it is stored or widened after. */
function weightData(
  graph: Graph,
  weights: readonly Extract<Constant, { kind: 'weight' }>[],
): (value: Value) => TensorData | undefined {
  const stored = new Map(weights.map(({ value, data }) => [value, data]));
  return (value) => {
    const cast = graph.nodes.find((node) => node.op === 'cast' && node.outputs[0] === value);
    return stored.get(cast?.inputs[0] ?? value);
  };
}
