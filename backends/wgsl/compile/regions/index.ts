import type { Node } from '../../../../ir/graph.ts';
import type { PhaseContext } from '../phase_context.ts';
import { attentionRegion } from './attention.ts';
import { expressionRegion } from './expression.ts';
import { gatherRegion } from './gather.ts';
import { linearRegion } from './linear.ts';
import { patchesRegion } from './patches.ts';
import { residualNormRegion } from './residual_norm.ts';
import { ropeRegion } from './rope.ts';

/**
 * Covers a node, and those before it that only the region reads, with kernels; false when it is none of its kind, and
 * nothing was put in then. Matches ops and shapes, never names.
 */
export type Region = (context: PhaseContext, node: Node) => boolean;

/** The first that matches is taken: what covers more comes first. */
export const REGIONS: readonly Region[] = [
  residualNormRegion,
  linearRegion,
  patchesRegion,
  gatherRegion,
  ropeRegion,
  attentionRegion,
  expressionRegion,
];
