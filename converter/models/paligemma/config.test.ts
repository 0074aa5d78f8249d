import { expect, test } from 'vitest';
import { imageTokens, VARIANTS, variantName } from './config.ts';

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
