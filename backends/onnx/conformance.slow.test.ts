import { describe } from 'vitest';
import { itOnGpu } from '../testing/gpu.ts';
import { EXACT, expectConformance, GPU, titled } from './testing/expect_conformance.ts';

describe('each op on webgpu equals the evaluator', () => {
  // SwiftShader has no f16: run.gpu.test.ts looks at what a bundle in f16 gets
  for (const { name, title, opCase } of titled.filter(({ opCase }) => opCase.attrs?.['to'] !== 'f16')) {
    const dtype = (opCase.dtypes ?? ['f32']).includes('f32') ? 'f32' : opCase.dtypes![0]!;
    itOnGpu(`${name}: ${title} (${dtype})`, () =>
      expectConformance(name, dtype, 'webgpu', dtype === 'f32' ? GPU : EXACT, opCase),
    );
  }
});

describe('weights in blocks by ONNX’s own ops equal the evaluator', () => {
  const weights = titled.filter(({ name }) => name === 'quantized_linear' || name === 'quantized_gather');
  for (const { name, title, opCase } of weights.filter(({ opCase }) => opCase.title.startsWith('u4')))
    itOnGpu(`webgpu, ${name}: ${title}`, () =>
      expectConformance(name, 'f32', 'webgpu', GPU, opCase, { quantizedOps: 'qdq' }),
    );
});
