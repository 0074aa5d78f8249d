import { expect, it } from 'vitest';
import type { Runner } from '../../backends/backend.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import { asBundle, ratioOf } from './foreign_runner.ts';

const ids = { vocabSize: 3, imageTokenId: 1 };

/** Gives what it is given under another name. */
function echo(outputs: Readonly<Record<string, Readonly<Record<string, Tensor>>>>): Runner & { got: unknown[] } {
  const got: unknown[] = [];
  return {
    got,
    description: 'echo',
    inputDtypes: async () => ({}),
    run: async (graph, inputs) => {
      got.push([graph, ...Object.values(inputs).map(({ data }) => [...data])]);
      return outputs[graph]!;
    },
    dispose: async () => {},
  };
}

it('features are made larger by the scale, what the decoder reads smaller; logits are those of tokens', async () => {
  const theirs = echo({
    embed_tokens: { inputs_embeds: tensorOf('f32', [1, 1, 2], [1, 2]) },
    decoder: { logits: tensorOf('f32', [1, 1, 5], [1, 2, 3, 4, 5]) },
  });
  const rest = echo({ vision_encoder: { image_features: tensorOf('f32', [1, 1, 2], [7, 8]) } });
  const runner = asBundle({ runner: theirs, graphs: ['embed_tokens', 'decoder'] }, ids, { scale: 4, rest });
  expect([...(await runner.run('embed_tokens', {}))['inputs_embeds']!.data]).toEqual([4, 8]);
  expect([...(await runner.run('vision_encoder', {}))['image_features']!.data]).toEqual([7, 8]);
  const { logits } = await runner.run('decoder', { inputs_embeds: tensorOf('f32', [1, 1, 2], [4, 8]) });
  expect(logits).toMatchObject({ shape: [1, 1, 3] });
  expect([...logits!.data]).toEqual([1, -65504, 3]);
  expect(theirs.got[1]).toEqual(['decoder', [1, 2]]);
});

it('a ratio is one of all elements', () => {
  const ours = tensorOf('f32', [3], [2, 4, 6]);
  expect(ratioOf(tensorOf('f32', [3], [1, 2, 3]), ours)).toBeCloseTo(2);
  expect(ratioOf(tensorOf('f32', [3], [1, 2, -3]), ours)).toBeUndefined();
  expect(ratioOf(tensorOf('f32', [2], [1, 2]), ours)).toBeUndefined();
});
