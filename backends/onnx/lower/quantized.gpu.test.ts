import { describe } from 'vitest';
import { itOnGpu } from '../../testing/gpu.ts';
import { expectEqual, quantizedModel, SHAPES } from '../testing/quantized_model.ts';

describe.each(SHAPES)('$rows × $columns of $dtype, block $block', (sizes) => {
  itOnGpu('equals the evaluator on webgpu', () => expectEqual(quantizedModel(sizes), {}, 'webgpu'));
});
