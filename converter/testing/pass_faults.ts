import type { Constant, Graph, Node, Value } from '../../ir/graph.ts';
import { hasTrait } from '../../ir/ops/traits.ts';
import { rewriteGraph } from '../../ir/rewrite.ts';
import { sameType } from '../../ir/type.ts';
import { concatRows } from '../../ir/views/concat.ts';
import { sliceRows } from '../../ir/views/select.ts';

/** A slip that a pass could make, planted in what it gives: every type stays right. */
export interface PlantedFault {
  readonly graph: Graph;
  /** Of the graph: everything that is computed otherwise than it should be. */
  readonly affected: ReadonlySet<Value>;
  /** The weight that holds other values, where it is one. */
  readonly weight?: string;
}

/** Undefined where the graph has no place for it. */
export type PassFaultKind = (graph: Graph) => PlantedFault | undefined;

/** Two products of one value, as k and v, take each the other's matrix. */
const swappedMatrices: PassFaultKind = (graph) => {
  const defined = new Map(graph.nodes.flatMap((node, i) => node.outputs.map((value) => [value, i] as const)));
  const products = graph.nodes.filter(({ op }) => hasTrait(op, 'linear') || op === 'matmul');
  for (const [i, first] of products.entries())
    for (const second of products.slice(i + 1)) {
      const [a, b] = [first.inputs[1]!, second.inputs[1]!];
      const alike =
        first.op === second.op && a !== b && sameType(a.type, b.type) && first.inputs[0] === second.inputs[0];
      if (!alike || (defined.get(b) ?? -1) > graph.nodes.indexOf(first)) continue;
      const swap = (node: Node) =>
        node === first ? { ...node, inputs: node.inputs.with(1, b) } : { ...node, inputs: node.inputs.with(1, a) };
      const nodes = graph.nodes.map((node) => (node === first || node === second ? swap(node) : node));
      return planted({ ...graph, nodes }, [...first.outputs, ...second.outputs]);
    }
  return undefined;
};

/** The middle one of the nodes that compute something of a value and of its type alone is left out. */
const droppedNode: PassFaultKind = (graph) => {
  const candidates = graph.nodes.filter(
    ({ op, inputs: [x], outputs: [y, ...others] }) =>
      x &&
      others.length === 0 &&
      (hasTrait(op, 'elementwise') || /norm|rope|softmax/.test(op)) &&
      op !== 'cast' &&
      sameType(x.type, y!.type),
  );
  const found = candidates[Math.floor(candidates.length / 2)];
  if (!found) return undefined;
  const without = rewriteGraph(graph, (node, { inputs }) => (node === found ? [inputs[0]!] : undefined));
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(found.outputs[0]!));
  const names = new Set(readers.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
  const read = without.nodes.flatMap(({ outputs }) => outputs.filter(({ name }) => names.has(name)));
  return planted(without, [...read, ...portsInPlaceOf(found.outputs[0]!, graph, without)]);
};

/** Rows of a matrix, or of its codes, each moved on by one. */
const rolledWeight: PassFaultKind = (graph) => {
  const weights = new Map(graph.constants.map((constant) => [constant.value, constant]));
  const candidates = graph.nodes.flatMap((node) => {
    const weight = hasTrait(node.op, 'linear') ? weightBehind(node.inputs[1]!, graph, weights) : undefined;
    return weight ? [weight] : [];
  });
  const found = candidates[Math.floor(candidates.length / 2)];
  if (!found) return undefined;
  const rows = found.data.shape[0]!;
  const data = concatRows([sliceRows(found.data, 1, rows), sliceRows(found.data, 0, 1)]);
  const constants = graph.constants.map((constant) => (constant === found ? { ...found, data } : constant));
  return { ...planted({ ...graph, constants }, [found.value]), weight: found.value.name };
};

export const FAULT_KINDS = { swappedMatrices, droppedNode, rolledWeight } satisfies Readonly<
  Record<string, PassFaultKind>
>;

type Weight = Extract<Constant, { kind: 'weight' }>;

/** The weight that a value is, or is widened of. */
function weightBehind(value: Value, { nodes }: Graph, weights: ReadonlyMap<Value, Constant>): Weight | undefined {
  const widened = nodes.find(({ op, outputs }) => op === 'cast' && outputs[0] === value)?.inputs[0];
  const constant = weights.get(widened ?? value);
  return constant?.kind === 'weight' && constant.data.shape[0]! > 1 ? constant : undefined;
}

function portsInPlaceOf(value: Value, before: Graph, after: Graph): readonly Value[] {
  const names = new Set(
    [...before.stages, ...before.outputs].flatMap((port) => (port.value === value ? [port.name] : [])),
  );
  return [...after.stages, ...after.outputs].flatMap((port) => (names.has(port.name) ? [port.value] : []));
}

function planted(graph: Graph, at: readonly Value[]): PlantedFault {
  const affected = new Set(at);
  for (const { inputs, outputs } of graph.nodes)
    if (inputs.some((value) => affected.has(value))) for (const value of outputs) affected.add(value);
  return { graph, affected };
}
