import { isFloat, type DType } from '../../ir/dtypes/index.ts';
import { formats } from '../../ir/formats/index.ts';
import type { Constant, Graph, Node, Program, Value } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import type { Op } from '../../ir/op.ts';
import { elementCount, tensorData, tensorOf, type TensorData } from '../../ir/tensor.ts';

/** What an element of a weight is: a number, or a code with what belongs to its block. */
export type Role = 'values' | 'codes' | 'scales' | 'zeros';

/** A weight that the program has, or its zero points where it has none: the middle of the range then. */
export interface Expected {
  readonly graph: string;
  readonly name: string;
  readonly role: Role;
  /** Absent for zero points that the program leaves out. */
  readonly data?: TensorData;
  /** Of codes and what belongs to their blocks: the dtype that the codes have. */
  readonly codes?: DType;
  /** Rows of the first axis; 1 for a scalar. */
  readonly rows: number;
}

/** The weights of a program, by the names under which bundles have them. */
export class ExpectedWeights {
  readonly #graphs: ReadonlyMap<string, GraphWeights>;

  constructor({ graphs }: Program) {
    this.#graphs = new Map(graphs.map((graph) => [graph.name, new GraphWeights(graph)]));
  }

  /** What a bundle must hold: every weight and table of floats or codes, with more than one element. */
  get all(): readonly Expected[] {
    return [...this.#graphs.values()].flatMap((graph) => graph.used);
  }

  /** A weight by a name that a writer made of its name; in `graph`, or, where it has none such, in another. */
  named(graph: string, name: string): { readonly weight: Expected; readonly shard?: number } | undefined {
    for (const { name: candidate, shard } of namesBehind(name))
      for (const { weights } of this.#inOrder(graph)) {
        const weight = weights.get(candidate);
        if (weight) return { weight, ...(shard !== undefined && { shard }) };
      }
    return undefined;
  }

  /** What the op that reads a weight takes beside it under the name `operand`. */
  beside({ graph, name }: Expected, operand: string): Expected | undefined {
    return this.#graphs.get(graph)?.beside(name, operand);
  }

  /** What the op that makes a result takes under the name `operand`. */
  operandOf(graph: string, result: string, operand: string): Expected | undefined {
    for (const { name } of namesBehind(result)) {
      const found = this.#graphs.get(graph)?.operandOf(name, operand);
      if (found) return found;
    }
    return undefined;
  }

  #inOrder(graph: string): readonly GraphWeights[] {
    const own = this.#graphs.get(graph);
    return own ? [own, ...[...this.#graphs.values()].filter((other) => other !== own)] : [...this.#graphs.values()];
  }
}

class GraphWeights {
  readonly weights: ReadonlyMap<string, Expected>;
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
    const roles = rolesIn(graph);
    const found = graph.constants.flatMap(
      (constant) => expectedOf(graph.name, constant, roles.get(constant.value)) ?? [],
    );
    this.weights = new Map([...levelsIn(graph), ...found].map((each) => [each.name, each]));
  }

  /** Those that a node or an output has; passes leave others behind. */
  get used(): readonly Expected[] {
    const { nodes, outputs } = this.#graph;
    const names = new Set(
      [...nodes.flatMap(({ inputs }) => inputs), ...outputs.map(({ value }) => value)].map((value) => value.name),
    );
    return [...this.weights.values()].filter(({ name }) => names.has(name));
  }

  beside(name: string, operand: string): Expected | undefined {
    const reader = this.#graph.nodes.find((node) => node.inputs.some((value) => value.name === name));
    return reader && this.#operand(reader, operand);
  }

  operandOf(result: string, operand: string): Expected | undefined {
    const maker = this.#graph.nodes.find((node) => node.outputs.some((value) => value.name === result));
    return maker && this.#operand(maker, operand);
  }

  #operand(node: Node, operand: string): Expected | undefined {
    const { operands } = ops[node.op] as unknown as Op;
    const at = operands.findIndex((name) => name.replace(/\?$/, '') === operand);
    const value = node.inputs[at];
    if (value) return this.weights.get(value.name);
    const q = operand === 'zeros' ? codesOf(node) : undefined;
    const weight = q && this.weights.get(q.name);
    return weight && { graph: weight.graph, name: weight.name, role: 'zeros', codes: q.type.dtype, rows: weight.rows };
  }
}

/** Operand q of an op over codes. */
function codesOf({ op, inputs }: Node): Value | undefined {
  const at = (ops[op] as unknown as Op).operands.indexOf('q');
  return at < 0 ? undefined : inputs[at];
}

interface Use {
  readonly role: Role;
  readonly q: Value;
}

/** What ops over codes take each value for. */
function rolesIn({ nodes }: Graph): ReadonlyMap<Value, Use> {
  const roles = new Map<Value, Use>();
  for (const node of nodes) {
    const q = codesOf(node);
    if (!q) continue;
    (ops[node.op] as unknown as Op).operands.forEach((operand, i) => {
      const value = node.inputs[i];
      const role = ({ q: 'codes', scales: 'scales', 'zeros?': 'zeros' } as const)[operand];
      if (value && role) roles.set(value, { role, q });
    });
  }
  return roles;
}

/** What codes of codebooks mean, for bundles that have it as a table. */
function levelsIn({ name, nodes }: Graph): readonly Expected[] {
  const used = new Set(nodes.flatMap((node) => ('format' in node.attrs ? [node.attrs.format] : [])));
  return [...used].flatMap((format) => {
    const { codebook } = formats[format];
    if (!codebook) return [];
    const data = tensorData(tensorOf('f32', [codebook.length], codebook));
    return [{ graph: name, name: `${format}.levels`, role: 'values' as const, data, rows: codebook.length }];
  });
}

function expectedOf(graph: string, constant: Constant, use: Use | undefined): Expected | undefined {
  const data = constant.kind === 'weight' ? constant.data : tensorData(constant.tensor);
  if (elementCount(data.shape) < 2 || !(use || isFloat(data.dtype))) return undefined;
  return {
    graph,
    name: constant.value.name,
    role: use?.role ?? 'values',
    data,
    ...(use && { codes: use.q.type.dtype }),
    rows: data.shape[0] ?? 1,
  };
}

/** What passes and writers put behind a name: a dtype, a number that keeps names apart, a place. */
const SUFFIX = /(?:\.f16|\.bf16|\.widened|\.transposed|_\d+)$/;
/** The number of a shard, before what is stored of it as well. */
const SHARD = /\.(\d+)(\.(?:codes|scales|zeros))?$/;

/** A name and what it may have been before, the nearest first. */
function* namesBehind(name: string): Generator<{ readonly name: string; readonly shard?: number }> {
  let candidate = name;
  let shard: number | undefined;
  for (;;) {
    yield { name: candidate, ...(shard !== undefined && { shard }) };
    const cut = SHARD.exec(candidate);
    if (SUFFIX.test(candidate)) candidate = candidate.replace(SUFFIX, '');
    else if (cut && shard === undefined) {
      shard = Number(cut[1]);
      candidate = candidate.slice(0, cut.index) + (cut[2] ?? '');
    } else return;
  }
}
