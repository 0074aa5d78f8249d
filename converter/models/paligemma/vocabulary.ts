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

/** `<image>` of every published PaliGemma: the row after 256,000 tokens of Gemma, 1,024 places and 128 codewords. */
const PUBLISHED_IMAGE_TOKEN = 257152;

/**
 * Rows behind `<image>` are a fine-tune's own tokens as far as the tokenizer names them; the rest is padding. Where no
 * tokenizer is at hand, rows up to the next multiple of 64 are padding, as Hugging Face pads (spec A.3), and a table of
 * any other length was resized for tokens: all of it is kept. `<image>` as the last row is a token like others.
 */
export function vocabularyOf({ rows, imageTokenId: stated, tokens, table }: TableEvidence): Vocabulary {
  const named = tokens?.imageTokenId !== undefined && tokens.imageTokenId <= rows ? tokens.imageTokenId : undefined;
  const imageTokenId = stated ?? named ?? (rows > PUBLISHED_IMAGE_TOKEN ? PUBLISHED_IMAGE_TOKEN : rows);
  if (imageTokenId + 1 >= rows) return { vocabSize: rows, imageTokenId, from: `shape of ${table}` };
  const end = tokens && endOf(tokens, rows === paddedRows(imageTokenId));
  if (tokens && end !== undefined && end > imageTokenId + 1) {
    const vocabSize = Math.min(end, rows);
    const own = vocabSize - imageTokenId - 1;
    return {
      vocabSize,
      imageTokenId,
      from: `${own} token${own === 1 ? '' : 's'} behind <image> in ${nameOf(tokens)}`,
    };
  }
  if (!tokens && rows !== paddedRows(imageTokenId))
    return { vocabSize: rows, imageTokenId, from: `shape of ${table}, which nothing pads` };
  return { vocabSize: imageTokenId, imageTokenId, from: 'the rows before <image>; those after it are padding' };
}

/** A padded table was not resized for `<mask>`: as the last token it is nobody's. */
function endOf({ end, maskTokenId }: KnownTokens, isPadded: boolean): number {
  return isPadded && maskTokenId === end - 1 ? maskTokenId : end;
}

function nameOf({ file }: KnownTokens): string {
  return file.slice(file.lastIndexOf('/') + 1);
}
