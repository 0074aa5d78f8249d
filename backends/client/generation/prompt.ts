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
  for (const row of rows) {
    checkIds(row, facts);
    checkLength(row, facts);
  }
  const padded = padLeft(rows, facts.padTokenId);
  // the last token needs no position: nothing reads it
  const room = Math.min(wholeNumber('the number of new tokens', maxNewTokens), facts.maxPositions - padded.length + 1);
  const places = featurePlaces(padded, facts);
  const tokens = places.reduce((sum, { count }) => sum + count, 0);
  if (tokens !== images.length * facts.imageTokens)
    throw new RuntimeError(
      'bad_input',
      `${tokens} image tokens for ${images.length} pictures of ${facts.imageTokens}`,
      'put the image tokens of every picture before its text',
    );
  const broken = rows.findIndex(
    (row) => row.filter((id) => id === facts.imageTokenId).length % facts.imageTokens !== 0,
  );
  if (broken >= 0)
    throw new RuntimeError(
      'bad_input',
      `row ${broken} has a part of a picture`,
      `every row has all ${facts.imageTokens} image tokens of each of its pictures`,
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
 * @throws RuntimeError `bad_input` for a row of more tokens than the model has positions, with how many pictures fit
 */
export function checkLength(row: readonly number[], facts: Positions & Pick<ProgramMetadata, 'imageTokenId'>): void {
  const { imageTokenId, maxPositions } = facts;
  if (row.length <= maxPositions) return;
  const text = row.filter((id) => id !== imageTokenId).length;
  throw new RuntimeError(
    'bad_input',
    `${row.length} tokens, of which ${text} are text: the model has ${maxPositions} positions`,
    text === row.length ? 'shorten the text' : fittingHint(picturesBeside(text, facts)),
  );
}

function fittingHint(pictures: number): string {
  if (pictures === 0) return 'shorten the text: no picture fits beside it';
  return `give ${pictures} picture${pictures === 1 ? '' : 's'} at most`;
}

type Positions = Pick<ProgramMetadata, 'imageTokens' | 'maxPositions'>;

/** Pictures that a model has positions for beside so many tokens of text. */
export function picturesBeside(text: number, { imageTokens, maxPositions }: Positions): number {
  return Math.max(0, Math.floor((maxPositions - text) / imageTokens));
}
