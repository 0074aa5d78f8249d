import type { Constant, Graph, Node, Port, Value } from './graph.ts';

/**
 * A graph as pieces that run one after the other: node i goes to piece `pieceOf[i]`, and what it needs must be made
 * there or before. A value that another piece needs leaves and enters under its own name. Constants, and what is
 * computed of constants alone, go with those who use them: a weight is never handed on. Outputs and stages stay with
 * the piece that makes them.
 * @param nameOf name of a piece
 * @throws Error when a node needs something of a later piece
 */
export function partition(
  graph: Graph,
  pieceOf: readonly number[],
  nameOf: (piece: number) => string,
): readonly Graph[] {
  const count = Math.max(0, ...pieceOf) + 1;
  const home = new Map<Value, number>();
  const constants = new Map<Value, Constant>(graph.constants.map((c) => [c.value, c]));
  const derived = derivedNodes(graph, constants);
  graph.nodes.forEach((node, i) => {
    if (derived.has(node)) return;
    for (const value of node.outputs) home.set(value, pieceOf[i]!);
  });
  const inputs = new Set(graph.inputs);
  const pieces = Array.from({ length: count }, (_, piece) => new Piece(nameOf(piece)));
  const crossing = new Set<Value>();

  const derivedMaker = new Map<Value, Node>(
    [...derived].flatMap((node) => node.outputs.map((value) => [value, node] as const)),
  );

  const need = (value: Value, piece: number): void => {
    const target = pieces[piece]!;
    if (target.has(value)) return;
    const constant = constants.get(value);
    const maker = derivedMaker.get(value);
    if (constant) return target.addConstant(constant);
    if (maker) {
      for (const operand of maker.inputs) need(operand, piece);
      return target.addNode(maker);
    }
    if (!inputs.has(value)) {
      const from = home.get(value)!;
      if (from > piece) throw new Error(`%${value.name} is made in piece ${from} and needed in piece ${piece}`);
      crossing.add(value);
    }
    target.addInput(value);
  };
  graph.nodes.forEach((node, i) => {
    if (derived.has(node)) return;
    for (const value of node.inputs) need(value, pieceOf[i]!);
    pieces[pieceOf[i]!]!.addNode(node);
  });
  const last = count - 1;
  for (const port of graph.outputs) {
    const piece = home.get(port.value) ?? last;
    need(port.value, piece);
    pieces[piece]!.outputs.push(port);
  }
  for (const port of graph.stages) {
    const piece = home.get(port.value) ?? pieces.findIndex((p) => p.has(port.value));
    if (piece >= 0) pieces[piece]!.stages.push(port);
  }
  for (const value of crossing) {
    const { outputs } = pieces[home.get(value)!]!;
    if (!outputs.some((port) => port.name === value.name && port.value === value))
      outputs.push({ name: value.name, value });
  }
  return pieces.map((piece) => piece.graph());
}

/** Nodes that need nothing but constants. */
function derivedNodes(graph: Graph, constants: ReadonlyMap<Value, Constant>): ReadonlySet<Node> {
  const known = new Set<Value>(constants.keys());
  const found = new Set<Node>();
  for (const node of graph.nodes) {
    if (node.inputs.length === 0 || !node.inputs.every((value) => known.has(value))) continue;
    found.add(node);
    for (const value of node.outputs) known.add(value);
  }
  return found;
}

class Piece {
  readonly outputs: Port[] = [];
  readonly stages: Port[] = [];
  readonly #name: string;
  readonly #values = new Set<Value>();
  readonly #inputs: Value[] = [];
  readonly #constants: Constant[] = [];
  readonly #nodes: Node[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  has(value: Value): boolean {
    return this.#values.has(value);
  }

  addInput(value: Value): void {
    this.#inputs.push(value);
    this.#values.add(value);
  }

  addConstant(constant: Constant): void {
    this.#constants.push(constant);
    this.#values.add(constant.value);
  }

  addNode(node: Node): void {
    this.#nodes.push(node);
    for (const value of node.outputs) this.#values.add(value);
  }

  graph(): Graph {
    return {
      name: this.#name,
      inputs: this.#inputs,
      constants: this.#constants,
      nodes: this.#nodes,
      outputs: this.outputs,
      stages: this.stages,
    };
  }
}
