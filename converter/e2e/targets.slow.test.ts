import { afterAll, beforeAll, describe } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { TargetBundles } from '../testing/target_bundles.ts';

let targets: TargetBundles;
beforeAll(async () => {
  targets = await TargetBundles.open();
});
afterAll(() => targets.close());

describe('every target computes what the original implementations recorded', () => {
  for (const [fixture, target] of [
    ['pg1-tiny', 'webgpu'],
    ['pg2-tiny', 'webgpu'],
    ['pg2-window', 'webgpu'],
    ['pg2-tiny', 'portable'],
    ['pg2-window', 'portable'],
  ] as const)
    itOnGpu(
      `${fixture}, ${target}, on webgpu`,
      async () => targets.expectVerified(fixture, target, 'webgpu', await targets.make(fixture, target)),
      300_000,
    );
});
