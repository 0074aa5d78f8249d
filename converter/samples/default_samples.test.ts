import { expect, test } from 'vitest';
import type { Tensor } from '../../ir/tensor.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { checkPrompt } from '../../verify/prompt.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { defaultSamples } from './default_samples.ts';
import { PROCESSORS } from '../../backends/client/images/processor.ts';

const load = (options: Parameters<typeof defaultSamples>[1], metadata = SHAPES_METADATA) =>
  Promise.all(defaultSamples(metadata, options).map((sample) => sample.load()));

const bytesOf = ({ data }: Tensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

test('pictures in the model’s size, of both extremes, and rows that fit it, without padding', async () => {
  const prompts = await load({ processor: PROCESSORS.huggingface });
  expect(prompts).toHaveLength(4);
  for (const prompt of prompts) {
    checkPrompt(prompt, SHAPES_METADATA);
    expect(prompt.attentionMask.data.every((m) => m === 1)).toBe(true);
    expect(prompt.inputIds.data[SHAPES_METADATA.imageTokens]).toBe(SHAPES_METADATA.bosTokenId);
  }
  const values = prompts.map(({ pixelValues }) => [...pixelValues.data]);
  expect(new Set(values[3])).toEqual(new Set([1]));
  expect(new Set(values[2])).toEqual(new Set([-1, 1]));
  const mean = values[1]!.reduce((a, b) => a + b, 0) / values[1]!.length;
  expect(Math.abs(mean), 'noise is even').toBeLessThan(0.02);
  expect(new Set(values[1]).size).toBe(256);
});

test('figures in documents are of these pictures: they are the same in every version', async () => {
  const mid = (values: ArrayLike<number>, [channel, x, y]: readonly [number, number, number]) => {
    const size = SHAPES_METADATA.imageSize;
    return Math.round(1e3 * values[(channel * size + y) * size + x]!);
  };
  const prompts = await load({ processor: PROCESSORS.huggingface });
  const places = [
    [0, 0, 0],
    [0, 50, 20],
    [1, 20, 50],
    [2, 90, 100],
    [2, 10, 60],
  ] as const;
  expect(prompts.slice(0, 3).map(({ pixelValues }) => places.map((at) => mid(pixelValues.data, at)))).toEqual([
    [-498, -529, 443, 106, 537],
    [-773, -647, 671, 412, 420],
    [1000, 1000, 1000, -1000, 1000],
  ]);
});

test('without a tokenizer ids are random and have no meaning of their own; the same every time', async () => {
  const [first, again] = [
    await load({ processor: PROCESSORS.huggingface }),
    await load({ processor: PROCESSORS.huggingface }),
  ];
  first.forEach(({ pixelValues, inputIds }, i) => {
    expect([...inputIds.data]).toEqual([...again[i]!.inputIds.data]);
    expect(Buffer.compare(bytesOf(pixelValues), bytesOf(again[i]!.pixelValues))).toBe(0);
  });
  const texts = first.map(({ inputIds }) => [...inputIds.data].slice(SHAPES_METADATA.imageTokens + 1));
  expect(new Set(texts.map(String)).size).toBe(4);
  for (const id of texts.flat()) {
    expect([0, 1, 2, SHAPES_METADATA.imageTokenId]).not.toContain(id);
    expect(id).toBeLessThan(SHAPES_METADATA.vocabSize);
  }
});

test('a vocabulary of special tokens alone does not hang', async () => {
  const [prompt] = await load({ processor: PROCESSORS.huggingface }, { ...SHAPES_METADATA, vocabSize: 3 });
  expect(prompt!.inputIds.data.length).toBe(SHAPES_METADATA.imageTokens + 8);
});

test('with the bundle’s tokenizer the prompts are text, as the reference says it', async () => {
  const checkpoint = await openCheckpoint('fixtures/shapes/hf');
  const tokenizer = checkpointTokenizer(await preparedFor(checkpoint, { metadata: SHAPES_METADATA }))!;
  await checkpoint.close();
  const [caption] = await load({ tokenizer, processor: PROCESSORS.bigvision });
  expect(tokenizer.decode([...caption!.inputIds.data].slice(SHAPES_METADATA.imageTokens))).toBe('<bos>caption en\n');
  expect(
    checkpointTokenizer(await preparedFor({ config: {}, sidecars: new Map() }, { metadata: SHAPES_METADATA })),
  ).toBeUndefined();
});
