import { randomSource } from '../ir/random_source.ts';
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
  /** Whether the candidate is held against the reference alone, not against itself too; default no. */
  readonly comparedOnly?: boolean;
  /** Whether the candidate may compute angles of rotary embeddings in f32, as the originals do; default no. */
  readonly anglesInF32?: boolean;
}

export interface SyntheticOptions {
  readonly seed?: number;
  readonly maxNewTokens?: number;
}

/** Whether there is anything to see: a query of ColPali is text alone. */
export function hasImages({ pixelValues }: Pick<VerifyCase, 'pixelValues'>): boolean {
  return pixelValues.shape[0]! > 0;
}

/** Logits that a case may make: beyond, only those of the last text positions are kept. 64 MB of f32. */
const MAX_LOGITS = 16 * 1024 * 1024;
/** Of a prompt's last positions, where not all are kept; of the long prompt always. */
const KEPT = 8;

/** Tokens of the long prompt: more than kernels take at once (256 in ours), and no multiple of a tile. */
const LONG = 301;
const SUFFIX = 3;
/** Tokens of text where a prompt need not be long. */
const SHORT = 6;
/** Tokens of a picture of which a second one may come: that of 448 pixels. Two of 896 leave no room for text. */
const MAX_TWICE = 1024;

/** Image tokens × layers × width² that a row more may cost; its multiplications are 15 to 26 times as many. */
const MAX_ROW_COST = 1e9;

/**
 * Cases for any model, the same for the same seed, each for what no other shows (docs/verification.md); short ones come
 * first, since what is wrong with a few tokens shows less among many:
 * - a batch of three rows of different length, padded on the left, of which the last is an empty prompt: a picture and
 *   <bos>. A model of real size has two rows: a third is computed as the second is, and takes minutes more;
 * - a few tokens of text that end at the model's last position;
 * - one long row of two pictures and text, whose cache goes beyond 300 tokens where the model has as many positions; it
 *   reads the last id of the vocabulary, which lies in the last shard of a table that is cut by rows. What must hold of
 *   a model by itself is asked of the others. A model of real size gets the pictures of the batch, in their order, so
 *   that the image tower computes both cases at once. Pictures of more than 1024 tokens come alone.
 *
 * Images are asymmetric in place and colour, so that swapped axes or channels show, and smooth with noise, as pictures
 * are. Token ids are random, without those that have a meaning of their own. A model with ColPali's head writes no
 * answers and gets queries: two rows of text alone, the shorter padded on the left, that end in pad tokens which are
 * read like others, as ColPali asks its questions.
 */
export function syntheticCases(
  metadata: ProgramMetadata,
  { seed = 1, maxNewTokens = 4 }: SyntheticOptions = {},
): VerifyCase[] {
  const random = randomSource(seed);
  const { imageTokens, imageSize, padTokenId, vocabSize, maxPositions } = metadata;
  const isRetriever = metadata.retrievalWidth !== undefined;
  // read where it is asked for, and nowhere by chance
  const last = lastToken(metadata);
  const newTokens = isRetriever ? 0 : maxNewTokens;
  const behind = Math.max(SUFFIX, newTokens - 1); // tokens read behind a prompt
  const text = (count: number, images = 1) => [
    metadata.bosTokenId,
    ...Array.from({ length: Math.min(count, maxPositions - images * imageTokens - behind) - 1 }, () =>
      randomToken(metadata, random, last),
    ),
  ];
  const suffix = (batch: number) =>
    tensorOf(
      'i64',
      [batch, SUFFIX],
      Array.from({ length: batch * SUFFIX }, () => randomToken(metadata, random, last)),
    );
  const makeCase = (
    name: string,
    texts: readonly (readonly number[])[],
    images = 1,
    pixelValues = syntheticImages(images * texts.length, imageSize, random),
  ): VerifyCase => {
    const prompt = padLeft(
      texts.map((t) => promptRow(metadata, t, images)),
      padTokenId,
    );
    const logits = prompt.inputIds.data.length * vocabSize;
    return {
      name,
      ...prompt,
      pixelValues,
      imageTokenId: metadata.imageTokenId,
      suffixIds: suffix(texts.length),
      maxNewTokens: newTokens,
      logitsToKeep: logits <= MAX_LOGITS ? 0 : Math.min(KEPT, Math.max(...texts.map((t) => t.length))),
    };
  };
  const makeQueries = (texts: readonly (readonly number[])[]): VerifyCase => ({
    name: 'queries, left-padded',
    ...padLeft(
      texts.map((row) => [...row, ...Array<number>(QUERY_PADS).fill(padTokenId)]),
      padTokenId,
    ),
    pixelValues: syntheticImages(0, imageSize, random),
    imageTokenId: metadata.imageTokenId,
    maxNewTokens: 0,
    logitsToKeep: 1,
  });
  const pictures = imageTokens <= MAX_TWICE && 2 * imageTokens + KEPT + behind <= maxPositions ? 2 : 1;
  const long = text(Math.max(KEPT, LONG - pictures * imageTokens), pictures);
  if (long.length > 1) long[1] = last;
  const rows = [text(7), ...(isRowCostly(metadata) ? [] : [text(4)]), text(1)];
  const end = text(SHORT);
  const batch = makeCase(`${NUMERALS[rows.length]!} rows, left-padded`, rows);
  const ofBatch = batch.pixelValues.shape[0] === pictures ? [batch.pixelValues] : [];
  const read = [
    batch,
    { ...makeCase('last positions', [end], 0), firstPosition: maxPositions - behind - end.length + 1 },
    {
      ...makeCase('one long row', [long], pictures, ...ofBatch),
      logitsToKeep: Math.min(KEPT, long.length),
      comparedOnly: true,
    },
  ];
  return isRetriever ? [...read, makeQueries([text(4), text(7)])] : read;
}

const NUMERALS: Readonly<Record<number, string>> = { 2: 'two', 3: 'three' };

/** Whether a row with a picture takes a model of this size minutes. */
export function isRowCostly({ imageTokens, layers, hiddenSize }: ProgramMetadata): boolean {
  return imageTokens * layers * hiddenSize ** 2 > MAX_ROW_COST;
}

/** Whether a case has several rows. */
export function isBatch({ inputIds }: Pick<VerifyCase, 'inputIds'>): boolean {
  return inputIds.shape[0]! > 1;
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

/** An id without a meaning of its own; not `except`. */
export function randomToken(metadata: ProgramMetadata, random: () => number, except?: number): number {
  const special = new Set([...specialTokens(metadata), ...(except === undefined ? [] : [except])]);
  for (;;) {
    const id = Math.floor(random() * metadata.vocabSize);
    if (!special.has(id) || metadata.vocabSize <= special.size) return id;
  }
}

/** The highest id without a meaning of its own. */
function lastToken(metadata: ProgramMetadata): number {
  const special = specialTokens(metadata);
  let id = metadata.vocabSize - 1;
  while (special.has(id) && id > 0) id--;
  return id;
}

function specialTokens({ imageTokenId, bosTokenId, eosTokenId, padTokenId }: ProgramMetadata): ReadonlySet<number> {
  return new Set([imageTokenId, bosTokenId, eosTokenId, padTokenId]);
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
