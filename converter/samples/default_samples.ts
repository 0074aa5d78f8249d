import type { ProgramMetadata } from '../../ir/graph.ts';
import { promptRow } from '../../verify/prompt.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import { rgbImage, type RgbImage } from '../../backends/client/images/rgb_image.ts';
import { buildPrompt } from '../text/prompt.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { promptOf, type CalibrationSample } from './calibration_sample.ts';

/**
 * What a model sees when nobody gives pictures: kinds of prompts that PaliGemma was trained on, beside extremes of
 * pictures.
 */
const SET: readonly { readonly name: string; readonly prompt: string; readonly picture: Picture }[] = [
  { name: 'smooth', prompt: 'caption en', picture: smooth },
  { name: 'noise', prompt: 'detect cat ; dog', picture: noise },
  { name: 'checkers', prompt: 'answer en what is in the picture?', picture: checkers },
  { name: 'white', prompt: 'ocr', picture: () => 255 },
];

/** Every picture with every prompt: what the quality of codes is judged on. */
const JUDGED = SET.flatMap(({ name, picture }) =>
  SET.map(({ prompt }) => ({ name: `${name}", "${prompt}`, prompt, picture })),
);

/** Text tokens of a row when there is no tokenizer: as many as the longest of the prompts above has. */
const RANDOM_TOKENS = 8;

export interface DefaultSampleOptions {
  /** Of the model; without, ids are random. */
  readonly tokenizer?: Tokenizer | undefined;
  /** How pictures become pixel values, and whose prompt tokens. */
  readonly processor: Processor;
}

/**
 * The built-in set: four pictures drawn at the model's own size, the same on every machine. It shows what the weights
 * do to any input, which is where a channel overflows; it knows nothing of the user's pictures.
 */
export function defaultSamples(
  metadata: ProgramMetadata,
  { tokenizer, processor }: DefaultSampleOptions,
): readonly CalibrationSample[] {
  return samplesOf(SET, metadata, { tokenizer, processor });
}

/**
 * Pictures and prompts on which a model is judged when nobody gives any: each built-in picture with each prompt;
 * without a tokenizer, whose ids alone mean something, with an empty prompt.
 */
export function judgedSamples(metadata: ProgramMetadata, options: DefaultSampleOptions): readonly CalibrationSample[] {
  if (options.tokenizer) return samplesOf(JUDGED, metadata, options);
  return SET.map(({ name, picture }) => ({
    name: `built-in "${name}", no prompt`,
    picture: keyOf(picture),
    load: async () =>
      promptOf(
        draw(picture, metadata.imageSize),
        promptRow(metadata, [metadata.bosTokenId]),
        metadata,
        options.processor,
      ),
  }));
}

function samplesOf(
  set: typeof SET,
  metadata: ProgramMetadata,
  { tokenizer, processor }: DefaultSampleOptions,
): readonly CalibrationSample[] {
  const { imageTokens, imageSize } = metadata;
  return set.map(({ name, prompt, picture }, index) => ({
    name: `built-in "${name}"`,
    picture: keyOf(picture),
    load: async () => {
      const ids = tokenizer
        ? buildPrompt(tokenizer, { imageTokens, prompt, mode: processor.mode })
        : promptRow(metadata, randomText(metadata, index));
      return promptOf(draw(picture, imageSize), ids, metadata, processor);
    },
  }));
}

/** <bos>, then ids that have no meaning of their own. */
function randomText(
  { vocabSize, bosTokenId, eosTokenId, padTokenId, imageTokenId }: ProgramMetadata,
  seed: number,
): number[] {
  const special = new Set([bosTokenId, eosTokenId, padTokenId, imageTokenId]);
  const ids = [bosTokenId];
  for (let i = 0; ids.length < RANDOM_TOKENS; i++) {
    const id = hash(seed, i) % vocabSize;
    if (!special.has(id) || vocabSize <= special.size) ids.push(id);
  }
  return ids;
}

/** Among the pictures of the set: another prompt makes none. */
function keyOf(picture: Picture): string {
  return `built-in ${SET.findIndex((each) => each.picture === picture)}`;
}

/** 0 to 255 at a place in [0, 1)², for a channel; `index` numbers the samples of the picture. */
type Picture = (u: number, v: number, channel: number, index: number) => number;

/** Waves and ramps that differ in every channel and direction. */
function smooth(u: number, v: number, channel: number): number {
  const ramp = [u, v, 1 - (u + 2 * v) / 3][channel]!;
  return 255 * (0.25 + 0.5 * ramp + 0.25 * Math.sin(2 * Math.PI * ((1 + channel) * u + 2 * v)));
}

function noise(_u: number, _v: number, _channel: number, index: number): number {
  return hash(1, index) & 255;
}

/** Black and white, 8 × 8. */
function checkers(u: number, v: number): number {
  return (Math.floor(8 * u) + Math.floor(8 * v)) % 2 === 0 ? 255 : 0;
}

function draw(picture: Picture, size: number): RgbImage {
  const data = new Uint8Array(3 * size * size);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / 3);
    data[i] = Math.round(
      Math.min(255, Math.max(0, picture((pixel % size) / size, Math.floor(pixel / size) / size, i % 3, i))),
    );
  }
  return rgbImage(size, size, data);
}

/** 32 bits that look random: the finalizer of MurmurHash3 (A. Appleby). */
function hash(seed: number, index: number): number {
  let h = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
