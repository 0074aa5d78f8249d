import type { ProgramMetadata } from '../../../ir/metadata.ts';
import { RuntimeError } from '../errors.ts';
import { featurePlaces, type FeaturePlace } from './feature_places.ts';
import { wholeNumber } from './numbers.ts';
import { padLeft, type PaddedRows } from './padded_rows.ts';

export interface PrefillInput<Features> {
  /** Token ids of each row, image tokens included; shorter rows are padded on the left. */
  readonly rows: readonly (readonly number[])[];
  /** Features of the pictures, in the order of their image tokens. */
  readonly images?: readonly Features[];
  /**
   * Tokens that will be decoded at most: room in the KV cache. Default 256, and never more than the model's positions
   * leave.
   */
  readonly maxNewTokens?: number;
}

/** What a device reads: rows that fit the model, and where features of pictures go in them. */
export interface Prompt extends PaddedRows {
  readonly places: readonly FeaturePlace[];
  /** Tokens that may be decoded. */
  readonly room: number;
}

const DEFAULT_ROOM = 256;

/** @throws RuntimeError `bad_input` for rows, pictures or a room that do not fit the model */
export function promptOf<Features>(
  { rows, images = [], maxNewTokens = DEFAULT_ROOM }: PrefillInput<Features>,
  facts: ProgramMetadata,
): Prompt {
  for (const row of rows) checkIds(row, facts);
  const padded = padLeft(rows, facts.padTokenId);
  const room = Math.min(wholeNumber('the number of new tokens', maxNewTokens), roomBehind(padded.length, facts));
  const places = featurePlaces(padded, facts);
  const tokens = places.reduce((sum, { count }) => sum + count, 0);
  if (tokens !== images.length * facts.imageTokens)
    throw new RuntimeError(
      'bad_input',
      `${tokens} image tokens for ${images.length} pictures of ${facts.imageTokens}`,
      'put the image tokens of every picture before its text',
    );
  return { ...padded, places, room };
}

/** @throws RuntimeError `bad_input` for an id that the model has not */
export function checkIds(
  ids: readonly number[],
  { vocabSize, imageTokenId }: Pick<ProgramMetadata, 'vocabSize' | 'imageTokenId'>,
): void {
  const highest = Math.max(vocabSize - 1, imageTokenId);
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id > highest);
  if (wrong !== undefined) throw new RuntimeError('bad_input', `a token ${wrong}`, `ids are 0 to ${highest}`);
}

/**
 * Tokens that may be decoded behind so many: the last one needs no position, for nothing reads it.
 * @throws RuntimeError `bad_input` when the model has not as many positions
 */
function roomBehind(length: number, { maxPositions }: ProgramMetadata): number {
  if (length > maxPositions)
    throw new RuntimeError('bad_input', `${length} tokens`, `the model has ${maxPositions} positions`);
  return maxPositions - length + 1;
}
