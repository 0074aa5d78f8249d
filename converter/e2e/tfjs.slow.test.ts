import { afterAll, beforeAll, describe, it } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { verifyOnDevice } from '../testing/on_device.ts';
import { readRecording } from '../testing/recording.ts';
import { expectWithinRounding } from '../testing/rounding.ts';
import { expectTfjsVerified, TFJS_LIMIT, TfjsBundles } from '../testing/tfjs_bundles.ts';

let bundles: TfjsBundles;
beforeAll(async () => {
  bundles = await TfjsBundles.open();
});
afterAll(() => bundles.close());

describe('pg2-tiny, fp32', () => {
  itOnGpu(
    'computes on webgpu what was recorded',
    async () => {
      const bundle = await bundles.make('pg2-tiny/hf', 'fp32', { layersPerGraph: 1 });
      expectWithinRounding(
        await verifyOnDevice(bundle, 'webgpu', await readRecording('fixtures/pg2-tiny')),
        TFJS_LIMIT,
      );
    },
    600_000,
  );
});

// kernels of std are those that fp32 bundles run; those of other codes differ in the packed product alone, which
// backends/tfjs/packed/packed.gpu.test.ts runs for each
itOnGpu(
  'pg1-tiny, int4 packed: so it does on webgpu',
  async () => expectTfjsVerified(await bundles.make('pg1-tiny/hf', 'int4', { target: 'packed' }), 'webgpu'),
  600_000,
);

describe.each<readonly [Precision, string]>([
  ['fp16', 'std'],
  ['int8', 'std'],
  ['int8', 'packed'],
  ['int4', 'packed'],
  ['nf4', 'packed'],
])('pg1-tiny, %s %s', (precision, target) => {
  it(
    'computes on cpu what its weights say, and is verified by what the manifest names',
    async () => expectTfjsVerified(await bundles.make('pg1-tiny/hf', precision, { target }), 'cpu'),
    300_000,
  );
});

describe('pg1-wide', () => {
  it.each<readonly [Precision, string, string]>([
    ['fp32', 'std', 'wasm'],
    ['int8', 'std', 'cpu'],
    ['int8', 'packed', 'wasm'],
    ['int4', 'packed', 'cpu'],
    ['nf4', 'packed', 'cpu'],
  ])(
    '%s %s computes on %s what its weights say',
    async (precision, target, device) => {
      await expectTfjsVerified(await bundles.make('pg1-wide/hf', precision, { target }), device);
    },
    300_000,
  );
});
