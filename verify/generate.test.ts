import { expect, test } from 'vitest';
import type { NumberArray } from '../ir/dtypes/codec.ts';
import { tensorOf } from '../ir/tensor.ts';
import type { Model } from './decode.ts';
import { generate, generateAll, generateRow } from './generate.ts';
import { padLeft, promptRow, type Prompt } from './prompt.ts';
import { countingMetadata, countingModel } from './testing/counting_runner.ts';

function promptOf(...texts: number[][]): Prompt {
  const { imageTokenId, padTokenId } = countingMetadata;
  return {
    ...padLeft(
      texts.map((text) => promptRow(countingMetadata, text)),
      padTokenId,
    ),
    pixelValues: tensorOf('f32', [texts.length, 3, 2, 2], new Array(texts.length * 12).fill(0)),
    imageTokenId,
  };
}

test('yields tokens of the vocabulary up to and with the stop token', async () => {
  const wide = countingModel('f32', countingMetadata, 12);
  expect(await generateAll(wide, promptOf([2, 5]), { maxNewTokens: 9 })).toEqual([[4, 3, 2, 1]]);
});

test('ends each row by itself, and the batch with the last', async () => {
  const steps: unknown[] = [];
  for await (const tokens of generate(countingModel(), promptOf([2, 5], [2, 2, 3]), { maxNewTokens: 9 }))
    steps.push(tokens);
  expect(steps).toEqual([
    [4, 2],
    [3, 1],
    [2, undefined],
    [1, undefined],
  ]);
});

test('obeys other stop tokens and maxNewTokens', async () => {
  expect(await generateAll(countingModel(), promptOf([2, 5]), { maxNewTokens: 9, stopTokenIds: [3] })).toEqual([
    [4, 3],
  ]);
  expect(await generateAll(countingModel(), promptOf([2, 5]), { maxNewTokens: 7, stopTokenIds: [] })).toEqual([
    [4, 3, 2, 1, 0, 0, 0],
  ]);
  expect(await generateAll(countingModel(), promptOf([2, 5]), { maxNewTokens: 0 })).toEqual([[]]);
});

test('feeds an empty cache first, then what came back, with a growing mask and positions from 1', async () => {
  const model = countingModel('f16');
  await generateAll(model, promptOf([2, 5], [2, 2, 6]), { maxNewTokens: 3, stopTokenIds: [] });
  expect(model.calls.map((c) => c['past_key_values.0.key']!.shape)).toEqual([
    [2, 1, 0, 1],
    [2, 1, 4, 1],
    [2, 1, 5, 1],
  ]);
  expect(model.calls.map((c) => c['past_key_values.0.value']!.dtype)).toEqual(['f16', 'f16', 'f16']);
  expect(model.calls.map((c) => [...c['attention_mask']!.data])).toEqual([
    [0, 1, 1, 1, 1, 1, 1, 1],
    [0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
  ]);
  expect(model.calls.map((c) => [...c['position_ids']!.data])).toEqual([
    [1, 1, 2, 3, 1, 2, 3, 4],
    [4, 5],
    [5, 6],
  ]);
  expect(model.calls.map((c) => c['num_logits_to_keep']!.data[0])).toEqual([1, 1, 1]);
  expect([...model.calls[0]!['inputs_embeds']!.data], 'image features in their places').toEqual([
    0, 7, 2, 5, 7, 2, 2, 6,
  ]);
});

test('every end token of the model ends a row', async () => {
  const model = countingModel('f32', { ...countingMetadata, stopTokenIds: [6, 2] });
  expect(await generateAll(model, promptOf([2, 5], [2, 2, 8]), { maxNewTokens: 9 })).toEqual([
    [4, 3, 2],
    [7, 6],
  ]);
});

test('a row of nothing but NaN is an error, of some an answer', async () => {
  const sound = countingModel();
  const spoiling = (spoil: (logits: NumberArray) => void): Model => ({
    ...sound,
    runner: {
      ...sound.runner,
      run: async (...given) => {
        const results = await sound.runner.run(...given);
        if (given[0] === 'decoder') spoil(results['logits']!.data);
        return results;
      },
    },
  });
  const all = generateAll(
    spoiling((logits) => logits.fill(Number.NaN)),
    promptOf([2, 5]),
    { maxNewTokens: 9 },
  );
  await expect(all).rejects.toMatchObject({ code: 'not_a_number', hint: expect.stringContaining('--dtype') as string });
  const some = spoiling((logits) => (logits[0] = logits[9] = Number.NaN));
  expect(await generateAll(some, promptOf([2, 5]), { maxNewTokens: 9 })).toEqual([[4, 3, 2, 1]]);
  // a row that has ended may say what it likes
  let step = 0;
  const ended = spoiling((logits) => step++ > 1 && logits.fill(Number.NaN, 0, countingMetadata.vocabSize));
  expect(await generateAll(ended, promptOf([2, 3], [2, 2, 5]), { maxNewTokens: 9 })).toEqual([
    [2, 1],
    [4, 3, 2, 1],
  ]);
});

test('a number of tokens that is none is refused', async () => {
  for (const maxNewTokens of [Number.NaN, -1, 1.5, Infinity])
    await expect(generateAll(countingModel(), promptOf([2, 5]), { maxNewTokens })).rejects.toMatchObject({
      code: 'bad_input',
    });
});

test('stops where the positions of the model end', async () => {
  const model = countingModel('f32', { ...countingMetadata, maxPositions: 5 });
  const tokens: number[] = [];
  for await (const token of generateRow(model, promptOf([2, 9]), { maxNewTokens: 99, stopTokenIds: [] }))
    tokens.push(token);
  expect(tokens).toEqual([8, 7, 6]);
  expect(model.calls.at(-1)!['attention_mask']!.shape).toEqual([1, 5]);
  await expect(generateAll(model, promptOf([2, 3, 4, 5, 6]), { maxNewTokens: 1 })).rejects.toMatchObject({
    code: 'too_long',
  });
});

test('a prompt that does not fit is refused before its pictures are encoded', async () => {
  const { runner, metadata } = countingModel('f32', { ...countingMetadata, maxPositions: 5 });
  const ran: string[] = [];
  const told: Model = {
    metadata,
    runner: { ...runner, run: (graph, ...rest) => (ran.push(graph), runner.run(graph, ...rest)) },
  };
  const long = generateAll(told, promptOf([2, 3, 4, 5, 6]), { maxNewTokens: 1 });
  await expect(long).rejects.toMatchObject({ code: 'too_long' });
  expect(ran).toEqual([]);
});

test('stops when it is told to', async () => {
  const abort = new AbortController();
  const tokens: number[] = [];
  const work = async () => {
    for await (const token of generateRow(countingModel(), promptOf([2, 9]), {
      maxNewTokens: 99,
      signal: abort.signal,
    })) {
      tokens.push(token);
      abort.abort(new Error('enough'));
    }
  };
  await expect(work()).rejects.toThrow('enough');
  expect(tokens).toEqual([8]);
});
