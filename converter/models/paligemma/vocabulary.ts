import type { KnownTokens } from '../../sidecars/known_tokens.ts';
import { paddedRows } from './config.ts';

/** Which rows of the embedding are tokens, which `<image>`, which padding. */
export interface Vocabulary {
  /** Columns of the logits: rows before it are tokens, but for `<image>` where that lies among them. */
  readonly vocabSize: number;
  readonly imageTokenId: number;
  /** How `vocabSize` is known. */
  readonly from: string;
}

/** What tells them apart. */
export interface TableEvidence {
  /** Rows of the table: of the checkpoint or, where that is longer, of an adapter. */
  readonly rows: number;
  /** What config.json says; without it the tokenizer's, where the table has room for it. */
  readonly imageTokenId?: number | undefined;
  /** What the tokenizer knows: the one that the user gave, else an adapter's, else the checkpoint's. */
  readonly tokens?: KnownTokens | undefined;
  /** The tensor's name. */
  readonly table: string;
}

/** The least that `pad_to_multiple_of` is given, for tensor cores. */
const PADDED_TO = 8;

/** `<image>` of every published PaliGemma: the row after 256,000 tokens of Gemma, 1,024 places and 128 codewords. */
export const PUBLISHED_IMAGE_TOKEN = 257152;

/**
 * Rows behind `<image>` are a fine-tune's own tokens as far as the tokenizer names them; the rest is padding. Where it
 * names none, a table of a length that nobody pads to was resized for tokens all the same, and is kept whole; without a
 * tokenizer, all is kept but rows up to the next multiple of 64, as Hugging Face pads (spec A.3). `<image>` as the last
 * row is a token like others.
 */
export function vocabularyOf({ rows, imageTokenId: stated, tokens, table }: TableEvidence): Vocabulary {
  const named = tokens?.imageTokenId !== undefined && tokens.imageTokenId <= rows ? tokens.imageTokenId : undefined;
  const imageTokenId = stated ?? named ?? (rows > PUBLISHED_IMAGE_TOKEN ? PUBLISHED_IMAGE_TOKEN : rows);
  if (imageTokenId + 1 >= rows) return { vocabSize: rows, imageTokenId, from: `shape of ${table}` };
  // nobody pads to odd lengths: the table was resized for tokens, whoever knows their names
  const isPadded = tokens ? rows % PADDED_TO === 0 : rows === paddedRows(imageTokenId);
  const end = tokens ? Math.min(endOf(tokens, rows === paddedRows(imageTokenId)), rows) : 0;
  if (!isPadded && end < rows) return { vocabSize: rows, imageTokenId, from: `shape of ${table}, which nothing pads` };
  if (tokens && end > imageTokenId + 1) {
    const own = end - imageTokenId - 1;
    const from = `${own} token${own === 1 ? '' : 's'} behind <image> in ${nameOf(tokens)}`;
    return { vocabSize: end, imageTokenId, from };
  }
  return { vocabSize: imageTokenId, imageTokenId, from: 'the rows before <image>; those after it are padding' };
}

/** A padded table was not resized for `<mask>`: as the last token it is nobody's. */
function endOf({ end, maskTokenId }: KnownTokens, isPadded: boolean): number {
  return isPadded && maskTokenId === end - 1 ? maskTokenId : end;
}

function nameOf({ file }: KnownTokens): string {
  return file.slice(file.lastIndexOf('/') + 1);
}
