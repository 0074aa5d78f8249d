import type { Dim } from '../../../ir/dim.ts';
import type { Node, NodeOf, Value } from '../../../ir/graph.ts';
import { nodeHasTrait, type NodeWith } from '../../../ir/ops/traits.ts';
import { matrixOf, type MatrixSource } from './matrix_source.ts';
import type { PhaseContext } from './phase_context.ts';

/** A product by a constant matrix. */
export type LinearNode = NodeWith<'linear'>;

/** The matrix of a linear layer whose weight is known; undefined for other nodes. */
export function linearMatrix(context: PhaseContext, node: Node): MatrixSource | undefined {
  return nodeHasTrait(node, 'linear') ? matrixOf(node, (value) => context.constantOf(value)) : undefined;
}

/** Whether a node is a product by a constant matrix, which the product kernels take. */
export function isLinear(context: PhaseContext, node: Node): node is LinearNode {
  return linearMatrix(context, node) !== undefined;
}

/** Linear layers that read a value, with known weights. */
export function linearsOf(context: PhaseContext, x: Value): readonly LinearNode[] {
  return context.usersOf(x).filter((node): node is LinearNode => isLinear(context, node) && node.inputs[0] === x);
}

/** What a kernel reads in place of x: x itself, or what is normalised to it by every workgroup again. */
export interface LinearInput {
  readonly x: Value;
  readonly norm?: { readonly scale: Value; readonly epsilon: number };
}

/**
 * A norm whose result only linear layers of few rows read costs less made again by each of their workgroups than
 * stored. The norm of a sum with a norm behind its branch is the other kernel's.
 */
export function inputOf(context: PhaseContext, x: Value): LinearInput {
  const node = context.definitionOf(x);
  if (
    node?.op !== 'rms_norm' ||
    !context.isStep ||
    context.isPort(x) ||
    context.isDone(x) ||
    context.isWanted(x) ||
    isNormOfPostNorm(context, node)
  )
    return { x };
  const readers = context.usersOf(x);
  return readers.length === linearsOf(context, x).length
    ? { x: node.inputs[0]!, norm: { scale: node.inputs[1]!, epsilon: node.attrs.epsilon } }
    : { x };
}

/** rms_norm(x + rms_norm(y)): how a layer with post norms goes on. */
export function isNormOfPostNorm(context: PhaseContext, norm: NodeOf<'rms_norm'>): boolean {
  const sum = context.definitionOf(norm.inputs[0]!);
  return (
    sum?.op === 'add' &&
    sum.inputs.some((input) => context.definitionOf(input)?.op === 'rms_norm' && context.onlyUserOf(input) === sum)
  );
}

/** Sizes whose product is the rows of x. */
export function rowsOfInput({ type }: Value): readonly Dim[] {
  return type.shape.slice(0, -1);
}

/** Whether a product has few rows: one for each sequence, or those that logits are asked for. */
export function hasFewRows(context: PhaseContext, x: Value): boolean {
  return (
    context.isStep ||
    rowsOfInput(x).some((dim) => typeof dim !== 'number' && dim.terms.some(([name]) => context.keptSymbols.has(name)))
  );
}
