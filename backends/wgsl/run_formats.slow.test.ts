import { describe } from 'vitest';
import { runPassesOnProgram, storeWeights } from '../../ir/passes/index.ts';
import { INT8, usualScheme } from '../../ir/quantize/scheme.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { coded, expectSameDecoding } from './testing/expect_decoding.ts';
import { GEMMA_1, tinyGemma } from './testing/tiny_gemma.ts';

const one = { layers: 1 };

describe('the plan of a program computes what the program means', () => {
  itOnGpu('Gemma 1, weights in f16', () =>
    expectSameDecoding(runPassesOnProgram(tinyGemma(GEMMA_1), [storeWeights('f16')])),
  );
  itOnGpu('weights in nf4', () => expectSameDecoding(coded(tinyGemma({ ...GEMMA_1, ...one }), usualScheme('nf4'))));
  itOnGpu('weights in 8 bits, cut into pieces', () =>
    expectSameDecoding(coded(tinyGemma({ ...GEMMA_1, ...one }), INT8), { bindingLimit: 16384 }),
  );
});
