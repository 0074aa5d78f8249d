import type { NodeOf, Value } from '../../../ir/graph.ts';
import { isLinear, linearsOf, type LinearNode } from './linears.ts';
import type { PhaseContext } from './phase_context.ts';
import { matchEpilogue, type Cores, type EpilogueTree } from './epilogue.ts';

/** What a kernel makes of its products: a value of the graph with all that stands between. */
export type Target =
  | {
      readonly kind: 'plain';
      readonly root: Value;
      readonly linears: readonly [LinearNode, ...LinearNode[]];
      readonly epilogue: EpilogueTree;
    }
  | {
      readonly kind: 'rope';
      readonly root: Value;
      readonly linears: readonly [LinearNode];
      readonly rope: NodeOf<'rope'>;
      readonly scale: number;
    }
  | {
      readonly kind: 'append';
      readonly root: Value;
      readonly linears: readonly [LinearNode];
      readonly rope?: NodeOf<'rope'>;
      readonly append: NodeOf<'append_cache'>;
    };

/** Linear layers with their epilogue. */
export function plainTarget(
  context: PhaseContext,
  root: Value,
  cores: Omit<Cores<LinearNode>, 'isCore' | 'biasOf'>,
): Target | undefined {
  const match = matchEpilogue(context, root, {
    ...cores,
    isCore: (node): node is LinearNode => isLinear(context, node),
    biasOf: (node) => (node.op === 'linear' ? node.inputs[2] : undefined),
  });
  return match && { kind: 'plain', root, linears: match.results, epilogue: match.epilogue };
}

/** Heads that are rotated and scaled, or put behind a cache. */
export function headsTarget(context: PhaseContext, root: Value): Target | undefined {
  const node = context.definitionOf(root);
  if (node?.op === 'append_cache') {
    const [, x] = node.inputs as readonly [Value, Value];
    const rope = ropeOf(context, context.absorbable(x), x);
    const linear = linearOfHeads(context, rope ? rope.inputs[0]! : x);
    return linear && { kind: 'append', root, linears: [linear], append: node, ...(rope && { rope }) };
  }
  if (node?.op === 'rope') return ropeTarget(context, root, node, 1);
  if (node?.op !== 'mul') return undefined;
  const scales = node.inputs.map((input) => context.constantOf(input)?.scalar);
  const [rotated, scale] = scales[0] === undefined ? [node.inputs[0]!, scales[1]] : [node.inputs[1]!, scales[0]];
  const rope = ropeOf(context, context.absorbable(rotated), rotated);
  return rope && scale !== undefined ? ropeTarget(context, root, rope, scale) : undefined;
}

/** Heads that read the same vector as these, each as far as a kernel goes. */
export function headsBeside(context: PhaseContext, target: Target): readonly Target[] {
  return linearsOf(context, target.linears[0].inputs[0]!).flatMap((linear) => {
    if (target.linears.some((own) => own === linear)) return [];
    return chainFrom(context, linear.outputs[0]!)
      .toReversed()
      .flatMap((root) => (context.isDone(root) ? [] : (headsTarget(context, root) ?? [])))
      .filter((found) => found.linears[0] === linear)
      .slice(0, 1);
  });
}

function ropeTarget(context: PhaseContext, root: Value, rope: NodeOf<'rope'>, scale: number): Target | undefined {
  const linear = linearOfHeads(context, rope.inputs[0]!);
  return linear && { kind: 'rope', root, linears: [linear], rope, scale };
}

function ropeOf(
  context: PhaseContext,
  node: ReturnType<PhaseContext['definitionOf']>,
  value: Value,
): NodeOf<'rope'> | undefined {
  return node?.op === 'rope' &&
    node.outputs[0] === value &&
    context.constantOf(node.inputs[2]!) &&
    context.constantOf(node.inputs[3]!)
    ? node
    : undefined;
}

/** The layer without bias whose rows [B, S, K·H] are seen as heads [B, S, K, H]. */
function linearOfHeads(context: PhaseContext, heads: Value): LinearNode | undefined {
  const reshape = context.absorbable(heads);
  if (reshape?.op !== 'reshape' || context.rootOf(heads) === heads) return undefined;
  const [flat] = reshape.inputs as readonly [Value];
  const linear = context.absorbable(flat);
  const isRow =
    flat.type.shape.length === 3 &&
    flat.type.shape[2] === (heads.type.shape[2] as number) * (heads.type.shape[3] as number);
  return linear && isRow && isLinear(context, linear) && !(linear.op === 'linear' && linear.inputs[2])
    ? linear
    : undefined;
}

/** A value and what its only users make of it, one after the other. */
function chainFrom(context: PhaseContext, value: Value): readonly Value[] {
  const user = context.onlyUserOf(value);
  return user && ['reshape', 'rope', 'mul', 'append_cache'].includes(user.op)
    ? [value, ...chainFrom(context, user.outputs[0]!)]
    : [value];
}
