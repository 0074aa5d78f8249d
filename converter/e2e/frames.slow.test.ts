import { describe } from 'vitest';
import { load as loadTfjs } from '../../backends/tfjs/driver/index.ts';
import { nodeTfjs } from '../../backends/tfjs/node_tfjs.ts';
import { load } from '../../backends/wgsl/runtime/index.ts';
import { bundleDevice } from '../../backends/wgsl/testing/bundle_device.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { expectFrames, framesBundles, readFrames } from '../testing/frames.ts';
import { expectRowsAsAlone, expectRowsAsAloneOf } from '../testing/mixed_rows.ts';

/* As frames.test.ts, on WebGPU. */

const bundleOf = framesBundles();
const TIMEOUT = 600_000;

describe.each(['pg1-tiny', 'pg2-tiny'])('%s', (fixture) => {
  // tfjs compiles a shader for each shape: of one model here, of both on the CPU (frames.test.ts)
  for (const backend of ['wgsl', 'onnx', ...(fixture === 'pg1-tiny' ? ['tfjs'] : [])])
    itOnGpu(
      `${backend}: 2, 3 and 16 pictures in a prompt are what both originals say`,
      async () => expectFrames(await bundleOf(fixture, backend), 'webgpu', await readFrames(fixture)),
      TIMEOUT,
    );

  // tfjs compiles a shader for each shape of each row: the graphs of one model, and the driver with the other
  for (const backend of ['wgsl', 'onnx', ...(fixture === 'pg1-tiny' ? ['tfjs'] : [])])
    itOnGpu(
      `${backend}: rows of 2, 0, 3 and 1 pictures say what each says alone`,
      async () => {
        const model = await openBundle(await bundleOf(fixture, backend), 'webgpu');
        try {
          await expectRowsAsAlone(model, fixture);
        } finally {
          await model.dispose();
        }
      },
      TIMEOUT,
    );

  itOnGpu(
    'so do they of pgconv/runtime',
    async () => {
      const bundle = await bundleOf(fixture, 'wgsl');
      const model = await load(bundle, { device: await bundleDevice(bundle) });
      try {
        await expectRowsAsAloneOf(model, fixture, (features) => features.destroy());
      } finally {
        await model.dispose();
      }
    },
    TIMEOUT,
  );

  if (fixture === 'pg2-tiny')
    itOnGpu(
      'so do they of pgconv/tfjs',
      async () => {
        const model = await loadTfjs(await bundleOf(fixture, 'tfjs'), { tf: await nodeTfjs('webgpu') });
        try {
          await expectRowsAsAloneOf(model, fixture, (features) => features.dispose());
        } finally {
          model.dispose();
        }
      },
      TIMEOUT,
    );
});
