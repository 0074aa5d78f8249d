import { describe } from 'vitest';
import { INT8, usualScheme } from '../../ir/quantize/scheme.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { coded, expectSameDecoding } from './testing/expect_decoding.ts';
import { GEMMA_1, tinyGemma } from './testing/tiny_gemma.ts';

const one = { layers: 1 };

describe('the plan of a program computes what the program means', () => {
  itOnGpu('weights in nf4', () => expectSameDecoding(coded(tinyGemma({ ...GEMMA_1, ...one }), usualScheme('nf4'))));
  itOnGpu('weights in 8 bits, cut into pieces', () =>
    expectSameDecoding(coded(tinyGemma({ ...GEMMA_1, ...one }), INT8), { bindingLimit: 16384 }),
  );
});
