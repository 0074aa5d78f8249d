import { describe, expect, it } from 'vitest';
import { runPasses } from '../../ir/passes/index.ts';
import { beforeLowering, lowerGraph } from './lower.ts';
import { computed, expectConformance, graphOf, packable, refused } from './testing/expect_conformance.ts';

describe.each(['cpu', 'wasm'] as const)('each op on %s equals the evaluator', (device) => {
  it.each(computed)('$op: $title', (one) => expectConformance(device, one));
});

/** Sums of products are f64 on the host. */
describe.each(['cpu', 'wasm'] as const)('packed weights on %s', (device) => {
  it.each(packable)('$title', (one) => expectConformance(device, one, 'packed'));
});

describe('what no bundle has', () => {
  it.each(refused)('$op: $title is refused', (one) => {
    expect(() => lowerGraph(runPasses(graphOf(one), beforeLowering), { profile: 'std' })).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
  });
});
