import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../errors.ts';
import { buildPrompt } from './prompt.ts';
import { readSentencePiece } from './sentencepiece.ts';
import { sentencePieceBytes } from './testing/sentencepiece_bytes.ts';
import { withImage } from './testing/with_image.ts';
import { ModelProto_SentencePiece_Type as Type } from './proto/sentencepiece_model_pb.ts';
import { loadTokenizer } from './tokenizer.ts';
import { tokenizerJsonOf } from './tokenizer_json.ts';

const shapes = loadTokenizer(
  JSON.parse(readFileSync(new URL('../../fixtures/shapes/hf/tokenizer.json', import.meta.url), 'utf8')) as object,
);
/** Has `\n\n` (6) beside `\n` (5), as Gemma has. */
const gemmaLike = loadTokenizer(
  withImage(
    tokenizerJsonOf(
      readSentencePiece(
        sentencePieceBytes([
          ['a', -1],
          ['\n', 0, Type.USER_DEFINED],
          ['\n\n', 0, Type.USER_DEFINED],
        ]),
        'x.model',
      ),
    ),
    7,
  ),
);
const images = (count: number) => Array.from({ length: count }, () => 1538);

describe.each(['huggingface', 'bigvision'] as const)('%s', (mode) => {
  test('64 image tokens, <bos>, the prompt, a newline', () => {
    // ids of transformers 5.17's AutoProcessor for fixtures/shapes/hf
    expect(buildPrompt(shapes, { imageTokens: 64, prompt: 'detect green circle', mode })).toEqual([
      ...images(64),
      2,
      307,
      340,
      327,
      282,
      4,
    ]);
  });

  test('the empty prompt is <bos> and a newline', () =>
    expect(buildPrompt(shapes, { imageTokens: 2, prompt: '', mode })).toEqual([1538, 1538, 2, 4]));

  test('<image> may be said, once per image', () => {
    expect(buildPrompt(shapes, { imageTokens: 3, prompt: '<image><image>caption en', images: 2, mode })).toEqual(
      buildPrompt(shapes, { imageTokens: 3, prompt: 'caption en', images: 2, mode }),
    );
    expect(() => buildPrompt(shapes, { imageTokens: 3, prompt: '<image><image>caption en', mode })).toThrow(UsageError);
  });

  test('<bos> is there exactly once', () => {
    expect(buildPrompt(shapes, { imageTokens: 3, prompt: 'a <b os> b', mode }).filter((id) => id === 2)).toHaveLength(
      1,
    );
  });

  test('text only', () =>
    expect(buildPrompt(shapes, { imageTokens: 64, prompt: 'caption en', images: 0, mode })).toEqual([2, 325, 266, 4]));
});

test('a prompt that ends in a newline merges with the separator in Hugging Face only', () => {
  expect(buildPrompt(gemmaLike, { imageTokens: 1, prompt: 'a\n' })).toEqual([7, 2, 4, 6]);
  expect(buildPrompt(gemmaLike, { imageTokens: 1, prompt: 'a\n', mode: 'bigvision' })).toEqual([7, 2, 4, 5, 5]);
});

test('<bos> in a prompt is refused for Hugging Face, where it would be a second one', () => {
  expect(() => buildPrompt(shapes, { imageTokens: 3, prompt: 'caption<bos> en' })).toThrow(UsageError);
});

test('special tokens in a prompt are tokens in Hugging Face, and characters in big_vision', () => {
  const { prompts } = JSON.parse(
    readFileSync(new URL('../../fixtures/tokenizer/prompts.json', import.meta.url), 'utf8'),
  ) as { prompts: [string, number[]][] };
  expect(prompts.length).toBeGreaterThan(15);
  for (const [prompt, ids] of prompts)
    expect(buildPrompt(shapes, { imageTokens: 2, prompt, mode: 'bigvision' }), prompt).toEqual([...images(2), ...ids]);
  expect(buildPrompt(shapes, { imageTokens: 0, prompt: 'caption<eos>' })).toEqual([2, 325, 1, 4]);
});

test('text before the image keeps its place in Hugging Face; for big_vision <image> is text there', () => {
  expect(buildPrompt(gemmaLike, { imageTokens: 2, prompt: 'a<image>a' })).toEqual([4, 7, 7, 2, 4, 5]);
  expect(buildPrompt(shapes, { imageTokens: 1, prompt: 'caption <image>', mode: 'bigvision' })).toEqual([
    1538, 2, 325, 340, 65, 351, 359, 341, 354, 339, 67, 4,
  ]);
});
