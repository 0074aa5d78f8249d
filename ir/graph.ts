import type { ProgramMetadata } from './metadata.ts';
import type { AttrsOf, OpName } from './ops/index.ts';
import type { Value } from './op.ts';
import type { Tensor, TensorData } from './tensor.ts';

export type { ProgramMetadata } from './metadata.ts';
export type { Value } from './op.ts';

export type NodeOf<N extends OpName> = {
  readonly op: N;
  readonly inputs: readonly Value[];
  readonly attrs: AttrsOf<N>;
  readonly outputs: readonly Value[];
};
/** A discriminated union over every op: no attribute is stringly typed. */
export type Node = { [N in OpName]: NodeOf<N> }[OpName];

/** A checkpoint tensor, read when asked for, or a small literal that the graph itself states. */
export type Constant =
  | { readonly kind: 'weight'; readonly value: Value; readonly data: TensorData }
  | { readonly kind: 'literal'; readonly value: Value; readonly tensor: Tensor };

/** A value under the name by which the outside knows it. */
export interface Port {
  readonly name: string;
  readonly value: Value;
}

/** One function: inputs and constants, nodes in topological order, named outputs. Immutable. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly constants: readonly Constant[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly Port[];
  /** Intermediate values that verification compares, in order: passes keep them. */
  readonly stages: readonly Port[];
}

/** The graphs of one model, and what a runtime must know to drive them. */
export interface Program {
  readonly graphs: readonly Graph[];
  readonly metadata: ProgramMetadata;
}

/** @throws Error when the program has no such graph. */
export function graphNamed(program: Program, name: string): Graph {
  const graph = program.graphs.find((g) => g.name === name);
  if (!graph) throw new Error(`no graph "${name}": there are ${program.graphs.map((g) => g.name).join(', ')}`);
  return graph;
}
