import { isFloat } from '../dtypes/index.ts';
import type { Node, NodeOf } from '../graph.ts';
import type { Trait } from '../op.ts';
import { ops, type OpName } from './index.ts';

/** Names of the ops that declare one of these traits. */
export type OpWith<T extends Trait> = {
  [N in OpName]: [Extract<(typeof ops)[N]['traits'][number], T>] extends [never] ? never : N;
}[OpName];

/** A node of such an op. */
export type NodeWith<T extends Trait> = { [N in OpWith<T>]: NodeOf<N> }[OpWith<T>];

/** Whether the op declares the trait. */
export function hasTrait<T extends Trait>(op: OpName, trait: T): op is OpWith<T> {
  const traits: readonly Trait[] = ops[op].traits;
  return traits.includes(trait);
}

/** Every op that declares the trait, in the order of the index. */
export function opsWith<T extends Trait>(trait: T): readonly OpWith<T>[] {
  return (Object.keys(ops) as OpName[]).filter((op): op is OpWith<T> => hasTrait(op, trait));
}

/** The same of a node's op, for what goes on to read the node. */
export function nodeHasTrait<T extends Trait>(node: Node, trait: T): node is NodeWith<T> {
  return hasTrait(node.op, trait);
}

/** Whether a node makes each float of its result of the floats at its place in its operands, and of nothing else. */
export function mapsFloats(node: Node): node is NodeWith<'elementwise'> {
  return (
    nodeHasTrait(node, 'elementwise') && [...node.inputs, ...node.outputs].every(({ type }) => isFloat(type.dtype))
  );
}
