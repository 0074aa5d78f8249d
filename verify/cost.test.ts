import { expect, test } from 'vitest';
import { parseGraph } from '../ir/parse.ts';
import { tensorData, tensorOf } from '../ir/tensor.ts';
import { syntheticCases } from './cases.ts';
import { costOf } from './cost.ts';
import { countingMetadata as metadata } from './testing/counting_runner.ts';

const weight = ({ dtype, shape }: { readonly dtype: 'f32'; readonly shape: readonly number[] }) =>
  tensorData(tensorOf(dtype, shape, new Float32Array(shape.reduce((n, d) => n * d, 1))));

const decoder = parseGraph(
  `graph decoder {
  input %inputs_embeds: f32[batch, seq, 8]
  input %num: i64[]
  weight %w: f32[4, 8]
  weight %head: f32[16, 4]
  %x: f32[batch, seq, 4] = linear %inputs_embeds, %w
  %last: f32[batch, kept, 4] = take_last %x, %num {axis = 1, kept = kept}
  %y: f32[batch, kept, 16] = linear %last, %head
  output "logits" = %y
}`,
  { weight: weight as never },
);
const vision = parseGraph(
  `graph vision_encoder {
  input %pixel_values: f32[images, 3, 4, 4]
  weight %k: f32[2, 3, 2, 2]
  weight %b: f32[2]
  %c: f32[images, 2, 2, 2] = conv2d %pixel_values, %k, %b {strides = [2, 2], padding = [0, 0]}
  output "image_features" = %c
}`,
  { weight: weight as never },
);
const program = { graphs: [vision, decoder], metadata: { ...metadata, hiddenSize: 8 } };

test('a case costs its pictures, its prompt and what is read behind it', () => {
  const [whole] = syntheticCases(metadata);
  const verifyCase = { ...whole!, maxNewTokens: 4, logitsToKeep: 2 };
  const [batch, length] = verifyCase.inputIds.shape as readonly [number, number];
  const pictures = verifyCase.pixelValues.shape[0]! * (2 * 2 * 2) * (3 * 2 * 2);
  const tokens = batch * (length + 3 + 3);
  const logits = batch * (2 + 3 + 3);
  expect(costOf(program, verifyCase)).toBe(pictures + tokens * 4 * 8 + logits * 16 * 4);
  expect(costOf(program, { ...verifyCase, logitsToKeep: 0 })).toBe(
    pictures + tokens * 4 * 8 + batch * (length + 3 + 3) * 16 * 4,
  );
});
