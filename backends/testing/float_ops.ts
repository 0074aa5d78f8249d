import type { Op } from '../../ir/op.ts';
import { ops } from '../../ir/ops/index.ts';
import { opsWith, type OpWith } from '../../ir/ops/traits.ts';

/** Elementwise ops without attributes of floats alone: what is tried on NaN, infinities, signed zeros and the like. */
export const floatOps: readonly OpWith<'elementwise'>[] = opsWith('elementwise').filter((name) =>
  takesFloats(ops[name]),
);

function takesFloats(op: Op): boolean {
  if (Object.keys(op.attrs).length > 0) return false;
  try {
    op.infer(
      op.operands.map(() => ({ dtype: 'f32', shape: [] })),
      {},
    );
    return true;
  } catch {
    return false;
  }
}
