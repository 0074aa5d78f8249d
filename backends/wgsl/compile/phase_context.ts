import { symbolsOf, type Dim } from '../../../ir/dim.ts';
import type { Node, Value } from '../../../ir/graph.ts';
import { sameShape } from '../../../ir/type.ts';
import { BackendError } from '../../error.ts';
import { growingAxis } from '../kernels/wgsl_text.ts';
import { constantsOf, type ConstantValue } from './constants.ts';
import type { Dispatch, Operand } from './dispatch.ts';
import { isStep, type PhaseGraph } from './phases.ts';
import type { WeightStore } from './weight_store.ts';

/** What rules may ask about the graph of a phase, and where they put their kernels. */
export class PhaseContext {
  readonly phase: PhaseGraph;
  readonly store: WeightStore;
  /** Whether kernels may round activations to bytes before products by codes. */
  readonly mayRound: boolean;
  /** Sizes of what take_last leaves. */
  readonly keptSymbols: ReadonlySet<string>;
  readonly #constants: ReadonlyMap<Value, ConstantValue>;
  readonly #definitions = new Map<Value, Node>();
  readonly #users = new Map<Value, Node[]>();
  readonly #ports: ReadonlySet<Value>;
  /** Values whose node is done: they are stored, or another region makes them where it needs them. */
  readonly #done = new Set<Value>();
  readonly #wanted = new Set<Value>();
  readonly #dispatches: Dispatch[] = [];

  constructor(phase: PhaseGraph, store: WeightStore, mayRound: boolean) {
    this.phase = phase;
    this.store = store;
    this.mayRound = mayRound;
    this.keptSymbols = new Set(
      phase.graph.nodes.flatMap((node) => (node.op === 'take_last' ? symbolsOf(node.attrs.kept) : [])),
    );
    const { nodes, outputs, stages } = phase.graph;
    this.#constants = constantsOf(phase.graph);
    this.#ports = new Set([...outputs, ...stages].map((port) => port.value));
    for (const node of nodes) {
      for (const output of node.outputs) this.#definitions.set(output, node);
      for (const input of new Set(node.inputs)) this.#users.set(input, [...(this.#users.get(input) ?? []), node]);
    }
    for (const value of this.#ports) this.want(value);
  }

  /** Whether it computes one new token a row: products have few rows. */
  get isStep(): boolean {
    return isStep(this.phase);
  }

  get dispatches(): readonly Dispatch[] {
    return this.#dispatches;
  }

  /** The node that makes a value; undefined for inputs, weights and literals. */
  definitionOf(value: Value): Node | undefined {
    return this.#definitions.get(value);
  }

  constantOf(value: Value): ConstantValue | undefined {
    return this.#constants.get(value);
  }

  /** Nodes that read a value, each once. */
  usersOf(value: Value): readonly Node[] {
    return this.#users.get(value) ?? [];
  }

  /** Whether the outside asks for it, as an output or a stage. */
  isPort(value: Value): boolean {
    return this.#ports.has(value);
  }

  /** The one node that reads a value that nobody else sees: only then it need not be stored. */
  onlyUserOf(value: Value): Node | undefined {
    const users = this.usersOf(value);
    return users.length === 1 && !this.isPort(value) ? users[0] : undefined;
  }

  /** The definition of a value that may be made within its only user, because nothing has stored it so far. */
  absorbable(value: Value): Node | undefined {
    return this.onlyUserOf(value) && !this.isDone(value) ? this.definitionOf(value) : undefined;
  }

  isDone(value: Value): boolean {
    return this.#done.has(value);
  }

  isWanted(value: Value): boolean {
    return this.#wanted.has(value);
  }

  /** Asks that a value be stored before the kernels that are put in now. */
  want(value: Value): void {
    this.#wanted.add(this.rootOf(value));
  }

  /**
   * The value whose memory another one is seen in: reshapes that move nothing, and casts between dtypes that lie alike.
   */
  rootOf(value: Value): Value {
    const node = this.definitionOf(value);
    return node && isAlias(node) && !this.constantOf(value) ? this.rootOf(node.inputs[0]!) : value;
  }

  /** A binding for a value that a kernel reads: constants become ranges of weights, others are wanted. */
  read(value: Value): Operand {
    const constant = this.constantOf(value);
    if (constant)
      return {
        kind: 'range',
        range: isFloatType(value)
          ? this.store.vector(value.name, constant.data)
          : this.store.integers(value.name, constant.data),
      };
    this.want(value);
    return { kind: 'value', value: this.rootOf(value) };
  }

  /** A binding for a value that a kernel makes. */
  write(value: Value): Operand {
    this.#done.add(value);
    return { kind: 'value', value };
  }

  put(dispatch: Dispatch): void {
    if (dispatch.kernel.bindings.length !== dispatch.operands.length)
      throw new Error(
        `${dispatch.kernel.name} has ${dispatch.kernel.bindings.length} bindings for ${dispatch.operands.length} operands of %${dispatch.label}`,
      );
    this.#dispatches.push(dispatch);
  }
}

/** Whether a value is one of floats. */
export function isFloatType({ type }: Value): boolean {
  return type.dtype === 'f32' || type.dtype === 'f16';
}

/** Whether a node's result is its operand under another type: in memory nothing changes. */
function isAlias(node: Node): boolean {
  const [x] = node.inputs;
  const { type } = node.outputs[0]!;
  if (node.op === 'reshape') return liesAlike(x!.type.shape, type.shape);
  return (
    node.op === 'cast' &&
    (isIndex(x!)
      ? isIndex(node.outputs[0]!)
      : x!.type.dtype === 'f16'
        ? type.dtype === 'f32'
        : x!.type.dtype === type.dtype)
  );
}

function isIndex({ type }: Value): boolean {
  return type.dtype === 'i64' || type.dtype === 'i32';
}

/** What grows lies at the capacity: the axes behind must be the same. */
function liesAlike(a: readonly Dim[], b: readonly Dim[]): boolean {
  const [i, j] = [growingAxis(a), growingAxis(b)];
  if (i === undefined || j === undefined) return i === j;
  return (
    sameShape([a[i]!], [b[j]!]) &&
    sameShape(
      a.slice(i + 1).filter((dim) => dim !== 1),
      b.slice(j + 1).filter((dim) => dim !== 1),
    )
  );
}

/** @throws BackendError always: for what no kernel computes */
export function unsupported(value: Value, what: string): never {
  throw new BackendError('unsupported', `the WGSL backend does not compute ${what}`, { tensor: value.name });
}
