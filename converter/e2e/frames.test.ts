import { describe, expect, it } from 'vitest';
import { load } from '../../backends/tfjs/driver/index.ts';
import { nodeTfjs } from '../../backends/tfjs/node_tfjs.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { expectFrames, FRAMES, FRAMES_LIMIT, framesBundles, readFrames } from '../testing/frames.ts';
import { expectRowsAsAlone, expectRowsAsAloneOf } from '../testing/mixed_rows.ts';
import { verifyOnDevice } from '../testing/on_device.ts';
import type { Recording } from '../testing/recording.ts';

/*
 * Several pictures in one prompt, and batches whose rows have different numbers of pictures, held against what both
 * originals said. On GPUs: frames.slow.test.ts.
 */

const bundleOf = framesBundles();
const FIXTURES = ['pg1-tiny', 'pg2-tiny'];
const ON_CPU = [
  ['onnx', 'cpu'],
  ['tfjs', 'cpu'],
  ['tfjs', 'wasm'],
] as const;

describe.each(FIXTURES)('%s', (fixture) => {
  it.each(ON_CPU)('%s on %s: 2, 3 and 16 pictures in a prompt are what both originals say', async (backend, device) =>
    expectFrames(await bundleOf(fixture, backend), device, await readFrames(fixture)),
  );

  it('so are those of the big_vision checkpoint', async () =>
    expectFrames(await bundleOf(fixture, 'onnx', 'bv_f32.npz'), 'cpu', await readFrames(fixture)));

  it.each(ON_CPU)('%s on %s: rows of 2, 0, 3 and 1 pictures say what each says alone', async (backend, device) => {
    const model = await openBundle(await bundleOf(fixture, backend), device);
    try {
      await expectRowsAsAlone(model, fixture);
    } finally {
      await model.dispose();
    }
  });

  it.each(['cpu', 'wasm'] as const)('so do they of pgconv/tfjs on %s', async (device) => {
    const model = await load(await bundleOf(fixture, 'tfjs'), { tf: await nodeTfjs(device) });
    try {
      await expectRowsAsAloneOf(model, fixture, (features) => features.dispose());
    } finally {
      model.dispose();
    }
  });
});

it('more than fit are refused by pgconv/tfjs with how many do, before one is opened', async () => {
  const tf = await nodeTfjs('wasm');
  const model = await load(await bundleOf('shapes', 'tfjs'), { tf });
  try {
    // 64 tokens each, beside 8192 positions
    const image = Array<string>(130).fill('fixtures/no-such-picture.png');
    await expect(model.generate({ image, prompt: 'caption en' }).next()).rejects.toMatchObject({
      code: 'bad_input',
      hint: 'give 127 pictures at most',
    });
  } finally {
    model.dispose();
  }
});

describe('a wrong picture is told by every one of these', () => {
  /** Each prompt with its pictures changed. */
  async function changed(change: (pictures: Float32Array[]) => void): Promise<Recording> {
    const { cases, reference } = await readFrames('pg1-tiny');
    const other = ({ shape, data }: Tensor): Tensor => {
      const pictures = Array.from({ length: shape[0]! }, (_, i) => {
        const size = data.length / shape[0]!;
        return Float32Array.from(data.subarray(i * size, (i + 1) * size));
      });
      change(pictures);
      return { dtype: 'f32', shape, data: Float32Array.from(pictures.flatMap((picture) => [...picture])) };
    };
    return { cases: cases.map((each) => ({ ...each, pixelValues: other(each.pixelValues) })), reference };
  }

  it.each<readonly [string, (pictures: Float32Array[]) => void]>([
    ['the last two swapped', (all) => void all.push(...all.splice(-2).toReversed())],
    ['the first for the last', (all) => void (all[all.length - 1] = all[0]!)],
    ['the last black', (all) => void all.at(-1)!.fill(-1)],
  ])('%s', async (_, change) => {
    const { checks } = await verifyOnDevice(await bundleOf('pg1-tiny', 'onnx'), 'cpu', await changed(change));
    const gaps = checks.filter(({ output }) => output.endsWith('logits')).map(({ metrics }) => metrics.maxAbs);
    // suffix and prefill of both originals, greedy of one
    expect(gaps).toHaveLength(5 * FRAMES.length);
    for (const gap of gaps) expect(gap).toBeGreaterThan(10 * FRAMES_LIMIT);
  });
});
