import type { NodeOf } from '../ir/graph.ts';
import { isComposite, type CompositeName, type OpName, type PrimitiveName } from '../ir/ops/index.ts';

/** Writes one node of the IR into the target that `Context` builds. */
export type Rule<Context, N extends OpName> = (context: Context, node: NodeOf<N>) => void;

/** A rule for every primitive, or the map does not compile; composites without one are decomposed before. */
export type Lowering<Context> = { readonly [N in PrimitiveName]: Rule<Context, N> } & {
  readonly [N in CompositeName]?: Rule<Context, N>;
};

/** The composites that a lowering has rules for: what a backend calls native. */
export function nativeComposites<Context>(lowering: Lowering<Context>): ReadonlySet<CompositeName> {
  return new Set((Object.keys(lowering) as OpName[]).filter(isComposite));
}
