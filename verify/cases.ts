import type { ProgramMetadata } from '../ir/graph.ts';
import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { padLeft, promptMember, promptRow, type Prompt } from './prompt.ts';
import { batchMember } from './rows.ts';

/** One thing to compute on both sides. */
export interface VerifyCase extends Prompt {
  readonly name: string;
  /** i64[B, U] tokens to read after the prompt, whatever the model would say: causal, with a cache. */
  readonly suffixIds?: Tensor;
  /** Greedy steps after the prompt; they do not stop at an end token. */
  readonly maxNewTokens: number;
  /** Prompt positions from the end whose logits are compared; 0 for all. */
  readonly logitsToKeep: number;
}

export interface SyntheticOptions {
  readonly seed?: number;
  readonly maxNewTokens?: number;
}

/** Whether there is anything to see: a query of ColPali is text alone. */
export function hasImages({ pixelValues }: Pick<VerifyCase, 'pixelValues'>): boolean {
  return pixelValues.shape[0]! > 0;
}

/** Logits that a case may make: beyond, only those of text positions are kept. 64 MB of f32. */
const MAX_LOGITS = 16 * 1024 * 1024;

/**
 * Cases for any model, the same for the same seed: one row, and a batch of two whose shorter row is padded. Images are
 * asymmetric in place and colour, so that swapped axes or channels show, and smooth with noise, as pictures are. Token
 * ids are random, without those that have a meaning of their own. A model with ColPali's head writes no answers and
 * gets queries: two rows of text alone, the shorter padded on the left, that end in pad tokens which are read like
 * others, as ColPali asks its questions.
 */
export function syntheticCases(
  metadata: ProgramMetadata,
  { seed = 1, maxNewTokens = 4 }: SyntheticOptions = {},
): VerifyCase[] {
  const random = mulberry32(seed);
  const isRetriever = metadata.retrievalWidth !== undefined;
  const text = (count: number) => [
    metadata.bosTokenId,
    ...Array.from({ length: count - 1 }, () => randomToken(metadata, random)),
  ];
  const suffix = (batch: number, count: number) =>
    tensorOf(
      'i64',
      [batch, count],
      Array.from({ length: batch * count }, () => randomToken(metadata, random)),
    );
  const makeCase = (name: string, texts: readonly (readonly number[])[]): VerifyCase => {
    const prompt = padLeft(
      texts.map((t) => promptRow(metadata, t)),
      metadata.padTokenId,
    );
    const logits = prompt.inputIds.data.length * metadata.vocabSize;
    return {
      name,
      ...prompt,
      pixelValues: syntheticImages(texts.length, metadata.imageSize, random),
      imageTokenId: metadata.imageTokenId,
      suffixIds: suffix(texts.length, 3),
      maxNewTokens: isRetriever ? 0 : maxNewTokens,
      logitsToKeep: logits <= MAX_LOGITS ? 0 : Math.min(...texts.map((t) => t.length)),
    };
  };
  const makeQueries = (texts: readonly (readonly number[])[]): VerifyCase => ({
    name: 'queries, left-padded',
    ...padLeft(
      texts.map((row) => [...row, ...Array<number>(QUERY_PADS).fill(metadata.padTokenId)]),
      metadata.padTokenId,
    ),
    pixelValues: tensorOf('f32', [0, 3, metadata.imageSize, metadata.imageSize], []),
    imageTokenId: metadata.imageTokenId,
    maxNewTokens: 0,
    logitsToKeep: 1,
  });
  const read = [makeCase('one row', [text(6)]), makeCase('two rows, left-padded', [text(7), text(4)])];
  return isRetriever ? [...read, makeQueries([text(4), text(7)])] : read;
}

/** colpali-engine appends ten to a question, which are read as tokens: query augmentation, as ColBERT has it. */
const QUERY_PADS = 3;

/** f32[images, 3, size, size] in [-1, 1]. */
function syntheticImages(images: number, size: number, random: () => number): Tensor {
  const data = new Float32Array(images * 3 * size * size);
  let at = 0;
  for (let n = 0; n < images; n++) {
    const [fx, fy, phase] = [1 + 2 * random(), 1 + 2 * random(), 2 * Math.PI * random()];
    for (let channel = 0; channel < 3; channel++)
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++) {
          const wave = Math.sin((2 * Math.PI * (fx * x + (channel + 1) * fy * y)) / size + phase + channel);
          const ramp = [x / size, y / size, 1 - (x + 2 * y) / (3 * size)][channel]!;
          data[at++] = Math.max(-1, Math.min(1, 0.5 * wave + ramp - 0.5 + 0.3 * (random() - 0.5)));
        }
  }
  return { dtype: 'f32', shape: [images, 3, size, size], data };
}

function randomToken(
  { vocabSize, imageTokenId, bosTokenId, eosTokenId, padTokenId }: ProgramMetadata,
  random: () => number,
): number {
  const special = new Set([imageTokenId, bosTokenId, eosTokenId, padTokenId]);
  for (;;) {
    const id = Math.floor(random() * vocabSize);
    if (!special.has(id) || vocabSize <= special.size) return id;
  }
}

/** One row of a case as a case of its own, without padding. */
export function caseMember(verifyCase: VerifyCase, row: number, metadata: ProgramMetadata): VerifyCase {
  const { suffixIds } = verifyCase;
  return {
    ...verifyCase,
    ...promptMember(verifyCase, row, metadata),
    name: `${verifyCase.name}, row ${row} alone`,
    ...(suffixIds && { suffixIds: batchMember(suffixIds, row) }),
  };
}

/** Uniform in [0, 1): mulberry32 by T. Ettinger. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
