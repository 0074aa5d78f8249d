import { expect, test } from 'vitest';
import { offered } from './offered.ts';
import { parseDtype, variantsOf } from './variant.ts';

test('what a backend does not have is left out of defaults', async () => {
  const variants = variantsOf(['fp32', 'bf16', 'int4', 'q4f16'].map(parseDtype), ['onnx', 'wgsl']);
  expect((await offered(variants)).map(({ label }) => label)).toEqual([
    'onnx fp32',
    'onnx bf16',
    'onnx int4',
    'onnx q4f16',
    'wgsl fp32',
    'wgsl int4',
  ]);
});
