import { expect, test } from 'vitest';
import { elementCount } from '../../../ir/tensor.ts';
import { syntheticTensors } from '../../synth/synth.ts';
import { imageTokens, VARIANTS, variantName } from './config.ts';

/** Parameters of the published checkpoints, with the 257152 rows that big_vision's have. */
const PARAMETERS: Readonly<Record<string, number>> = {
  'paligemma-3b-224': 2_923_335_408,
  'paligemma-3b-448': 2_924_220_144,
  'paligemma-3b-896': 2_927_759_088,
  'paligemma2-3b-224': 3_032_094_960,
  'paligemma2-3b-448': 3_032_979_696,
  'paligemma2-3b-896': 3_036_518_640,
  'paligemma2-10b-224': 9_662_409_456,
  'paligemma2-10b-448': 9_663_294_192,
  'paligemma2-10b-896': 9_666_833_136,
  'paligemma2-28b-224': 27_650_192_112,
  'paligemma2-28b-448': 27_651_076_848,
  'paligemma2-28b-896': 27_654_615_792,
};

test('published models have as many parameters as were published', () => {
  const counts = Object.entries(VARIANTS).map(([name, config]) => [
    name,
    syntheticTensors(config, { format: 'npz', dtype: 'bf16' }).reduce(
      (sum, { data }) => sum + elementCount(data.shape),
      0,
    ),
  ]);
  expect(Object.fromEntries(counts)).toEqual(PARAMETERS);
});

test('image tokens are one for each patch of 14 pixels', () => {
  expect(['224', '448', '896'].map((size) => imageTokens(VARIANTS[`paligemma-3b-${size}`]!.vision))).toEqual([
    256, 1024, 4096,
  ]);
});

test('a model is called as it was published, or by its sizes', () => {
  for (const [name, config] of Object.entries(VARIANTS)) expect(variantName({ ...config })).toBe(name);
  const small = VARIANTS['paligemma2-3b-448']!;
  expect(variantName({ ...small, text: { ...small.text, layers: 2 } })).toBe(
    '2x2304 decoder, 27x1152 image tower, 448 px',
  );
  expect(variantName({ ...small, retrievalWidth: 128 })).toBe('ColPali on paligemma2-3b-448');
});
