import type { LoweredPhase } from './buffers.ts';
import { lowering } from './lowering.ts';
import { PhaseContext, unsupported } from './phase_context.ts';
import type { PhaseGraph } from './phases.ts';
import type { Rule } from '../../lowering.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import { REGIONS } from './regions/index.ts';
import { scheduled } from './schedule.ts';
import type { WeightStore } from './weight_store.ts';

/**
 * The kernels of a phase. Nodes are taken from the last to the first: a region covers its node and all before it that
 * only the region reads, and says what it reads. What nobody has asked for when its turn comes is part of a region
 * already.
 * @param mayRound whether kernels may round activations to bytes before products by codes
 * @throws BackendError for what no kernel computes
 */
export function lowerPhase(phase: PhaseGraph, store: WeightStore, mayRound: boolean): LoweredPhase {
  const context = new PhaseContext(phase, store, mayRound);
  for (const node of phase.graph.nodes.toReversed()) {
    if (!node.outputs.some((value) => context.isWanted(value) && !context.isDone(value))) continue;
    if (REGIONS.some((region) => region(context, node))) continue;
    const rule = lowering[node.op] as Rule<PhaseContext, OpName> | undefined;
    if (!rule) return unsupported(node.outputs[0]!, `${node.op}, which was not decomposed`);
    rule(context, node);
  }
  return { phase, dispatches: scheduled(context.dispatches.toReversed()), rootOf: (value) => context.rootOf(value) };
}
