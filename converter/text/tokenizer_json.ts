import { IMAGE_TOKEN } from '../../backends/client/text/tokenizer.ts';
import { mergesOf } from './merges.ts';
import type { SentencePieceModel } from './sentencepiece.ts';

/** An entry of `added_tokens`: found in the text before anything else is done. */
export interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  /** Looked for in the normalised text, where a space is `▁`. */
  normalized: boolean;
  /** Left out by decoding with skip_special_tokens. */
  special: boolean;
}

/** Hugging Face's fast-tokenizer file, as far as pgconv writes it. */
export interface TokenizerJson {
  version: '1.0';
  truncation: null;
  padding: null;
  added_tokens: AddedToken[];
  normalizer: { type: 'Replace'; pattern: { String: string }; content: string };
  pre_tokenizer: { type: 'Split'; pattern: { String: string }; behavior: 'MergedWithPrevious'; invert: boolean };
  post_processor: typeof ADDS_NOTHING;
  decoder: { type: 'Sequence'; decoders: object[] };
  model: {
    type: 'BPE';
    dropout: null;
    unk_token: string;
    continuing_subword_prefix: null;
    end_of_word_suffix: null;
    fuse_unk: boolean;
    byte_fallback: boolean;
    ignore_merges: boolean;
    vocab: Record<string, number>;
    merges: [string, string][];
  };
}

/** A post-processor that adds no token: the processor puts `<bos>` into the text, after the images. */
export const ADDS_NOTHING = {
  type: 'TemplateProcessing',
  single: [{ Sequence: { id: 'A', type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: {},
} as const;

const numbered = (name: string, count: number, digits: number) =>
  Array.from({ length: count }, (_, i) => `<${name}${String(i).padStart(digits, '0')}>`);
/**
 * Places and codewords of masks: PaliGemma's addition to Gemma's vocabulary, in its order (big_vision's
 * `tokensets=['loc', 'seg']`, sorted).
 */
export const PLACE_TOKENS: readonly string[] = [...numbered('loc', 1024, 4), ...numbered('seg', 128, 3)];
/** User-defined in Gemma's model, but special to Hugging Face. */
const SPECIAL = new Set(['<start_of_turn>', '<end_of_turn>', IMAGE_TOKEN]);

/**
 * tokenizer.json for a SentencePiece BPE model: the same ids for the same text, as transformers' GemmaConverter does
 * it. Beyond the original: like Hugging Face, control pieces such as `<bos>` are found in the text.
 * What Hugging Face adds to PaliGemma's vocabulary (`<image>`), and big_vision to Gemma's, is not in it.
 * @throws BadInputError for equal scores that no order of merges is right for.
 */
export function tokenizerJsonOf(model: SentencePieceModel): TokenizerJson {
  const vocab = vocabOf(model);
  const added = model.pieces.flatMap(({ text, kind }, id) => {
    if (kind === 'normal' || kind === 'byte') return [];
    // A piece with ▁ is found where the text has a space, so after normalisation.
    return [
      addedToken(id, text, { normalized: text.includes('▁'), special: kind !== 'user_defined' || SPECIAL.has(text) }),
    ];
  });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
    post_processor: ADDS_NOTHING,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: model.unknownPiece,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: model.byteFallback,
      ignore_merges: false,
      vocab: Object.fromEntries(vocab),
      merges: mergesOf(model, vocab),
    },
  };
}

/** An entry of `added_tokens` in tokenizer.json: special, and matched as it is, where `flags` do not say otherwise. */
export function addedToken(id: number, content: string, flags: Partial<AddedToken> = {}): AddedToken {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...flags };
}

/**
 * SentencePiece merges characters that have no piece of their own (Gemma 1 has tab runs but no tab), tokenizer.json
 * does not: such an ASCII character takes the place of its byte piece, as GemmaConverter does it for the tab.
 */
function vocabOf({ pieces, byteFallback }: SentencePieceModel): Map<string, number> {
  const texts = new Set(pieces.map((piece) => piece.text));
  const merged = new Set(pieces.flatMap(({ text, kind }) => (kind === 'normal' && text.length > 1 ? [...text] : [])));
  const nameOf = (text: string, isByte: boolean) => {
    if (!isByte || !byteFallback) return text;
    const character = String.fromCharCode(Number.parseInt(text.slice(3, 5), 16));
    return character < '\u0080' && merged.has(character) && !texts.has(character) ? character : text;
  };
  return new Map(pieces.map(({ text, kind }, id) => [nameOf(text, kind === 'byte'), id]));
}
