import { sameDim, type Dim } from '../../../ir/dim.ts';
import type { Node, Value } from '../../../ir/graph.ts';
import { mapsFloats } from '../../../ir/ops/traits.ts';
import { sameShape } from '../../../ir/type.ts';
import type { ScalarFunction } from '../kernels/scalar_text.ts';
import { growingAxis } from '../kernels/wgsl_text.ts';
import type { PhaseContext } from './phase_context.ts';

/** What a kernel does to its results while they are in registers: over rows of equal width, [rows, columns], of f32. */
export type EpilogueTree =
  | { readonly kind: 'result'; readonly index: number }
  | ({ readonly kind: 'op'; readonly operands: readonly EpilogueTree[] } & ScalarFunction)
  | { readonly kind: 'scalar'; readonly value: number }
  /** `column`: one element a column; `element`: as large as the result; `single`: one element. */
  | { readonly kind: 'operand'; readonly value: Value; readonly by: 'column' | 'element' | 'single' };

/** A value as an epilogue of some nodes: of their results, in the order of their indices. */
export interface EpilogueMatch<N extends Node> {
  readonly root: Value;
  readonly results: readonly [N, ...N[]];
  readonly epilogue: EpilogueTree;
}

/** The nodes whose results a kernel has in registers, and, where one of several must be chosen, which. */
export interface Cores<N extends Node> {
  isCore(node: Node): node is N;
  /** Of all that could be one kernel, those that will be; the others are read as values. */
  choose(found: readonly N[]): readonly N[];
  /** What is added to the result by the node itself: a bias. */
  biasOf?(node: N): Value | undefined;
}

/** The value with all that can be computed with it, from cores on; undefined when it is no epilogue of theirs. */
export function matchEpilogue<N extends Node>(
  context: PhaseContext,
  root: Value,
  cores: Cores<N>,
): EpilogueMatch<N> | undefined {
  if (growingAxis(root.type.shape) !== undefined) return undefined;
  const found = new Set<N>();
  new Walk(context, cores, (node) => (found.add(node), found.size - 1)).at(root, true);
  const [first, ...rest] = cores.choose([...found]);
  if (!first) return undefined;
  const results = [first, ...rest] as const;
  const columns = first.outputs[0]!.type.shape.at(-1)!;
  if (!results.every(({ outputs: [output] }) => sameDim(output!.type.shape.at(-1)!, columns))) return undefined;
  const epilogue = new Walk(
    context,
    cores,
    (node) => (results.includes(node) ? results.indexOf(node) : undefined),
    columns,
  ).at(root, true);
  return epilogue && uses(epilogue) ? { root, results, epilogue } : undefined;
}

/** Operands of an epilogue, each once, in the order in which they occur. */
export function operandsOf(tree: EpilogueTree): readonly Extract<EpilogueTree, { kind: 'operand' }>[] {
  if (tree.kind === 'operand') return [tree];
  if (tree.kind !== 'op') return [];
  const all = tree.operands.flatMap(operandsOf);
  return all.filter(
    (operand, i) => all.findIndex((other) => other.value === operand.value && other.by === operand.by) === i,
  );
}

function uses(tree: EpilogueTree): boolean {
  return tree.kind === 'result' || (tree.kind === 'op' && tree.operands.some(uses));
}

class Walk<N extends Node> {
  readonly #context: PhaseContext;
  readonly #cores: Cores<N>;
  readonly #indexOf: (node: N) => number | undefined;
  /** The width of the results, when it is known: under a reshape that splits it, a row is not a row of the matrix. */
  readonly #columns: Dim | undefined;

  constructor(context: PhaseContext, cores: Cores<N>, indexOf: (node: N) => number | undefined, columns?: Dim) {
    this.#context = context;
    this.#cores = cores;
    this.#indexOf = indexOf;
    this.#columns = columns;
  }

  /** Undefined when the value is made of nothing that is understood: it is an operand then, or there is no match. */
  at(value: Value, isRoot: boolean): EpilogueTree | undefined {
    const node = isRoot ? this.#context.definitionOf(value) : this.#context.absorbable(value);
    if (!node || this.#context.constantOf(value)) return undefined;
    if (this.#context.rootOf(value) !== value) return this.at(node.inputs[0]!, false);
    if (this.#cores.isCore(node)) return this.#core(node);
    if (!mapsFloats(node) || value.type.dtype !== 'f32') return undefined;
    const operands = node.inputs.map((input) => this.#operand(input, value.type.shape));
    return operands.every((operand) => operand !== undefined)
      ? { kind: 'op', op: node.op, attrs: node.attrs, operands }
      : undefined;
  }

  #core(node: N): EpilogueTree | undefined {
    const index = this.#indexOf(node);
    if (index === undefined) return undefined;
    const result: EpilogueTree = { kind: 'result', index };
    const bias = this.#cores.biasOf?.(node);
    return bias
      ? { kind: 'op', op: 'add', operands: [result, { kind: 'operand', value: bias, by: 'column' }] }
      : result;
  }

  #operand(value: Value, shape: readonly Dim[]): EpilogueTree | undefined {
    const scalar = this.#context.constantOf(value)?.scalar;
    if (scalar !== undefined) return { kind: 'scalar', value: scalar };
    const isWhole = sameShape(value.type.shape, shape);
    const inner = isWhole ? this.at(value, false) : undefined;
    if (inner) return inner;
    if (isWhole) return { kind: 'operand', value, by: 'element' };
    if (value.type.shape.every((dim) => dim === 1)) return { kind: 'operand', value, by: 'single' };
    const { shape: own } = value.type;
    const isRow =
      sameDim(own.at(-1)!, shape.at(-1)!) &&
      own.slice(0, -1).every((dim) => dim === 1) &&
      (this.#columns === undefined || sameDim(shape.at(-1)!, this.#columns));
    return isRow ? { kind: 'operand', value, by: 'column' } : undefined;
  }
}
