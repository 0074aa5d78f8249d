import { ADDS_NOTHING } from '../text/tokenizer_json.ts';
import type { JsonFields } from './sidecar.ts';
import type { ParsedTokenizer } from './tokenizer_source.ts';

type Token = ParsedTokenizer['added_tokens'][number];

/**
 * PaliGemma's own additions, which transformers 5 saves as `normalized`, and others not. Nothing that is normalised is
 * in them.
 */
const PLACE = /^<(loc\d{4}|seg\d{3})>$/;

/**
 * One spelling for tokenizers that say the same: made from a SentencePiece model, taken from the Hub, or saved again by
 * transformers 5. Every token is in the vocabulary, in the order of ids; merges are pairs; a post-processor adds
 * nothing.
 * @param left tokens that are no longer there.
 */
export function canonicalTokenizer(json: ParsedTokenizer, left: ReadonlySet<string>): JsonFields {
  const { model } = json;
  const added = json.added_tokens.toSorted((a, b) => a.id - b.id);
  const vocab = new Map([
    ...Object.entries(model.vocab).filter(([token]) => !left.has(token)),
    ...added.map(({ content, id }) => [content, id] as const),
  ]);
  return {
    version: json['version'] ?? '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(canonicalToken),
    normalizer: json['normalizer'] ?? null,
    pre_tokenizer: json['pre_tokenizer'] ?? null,
    post_processor: ADDS_NOTHING as object as JsonFields,
    decoder: json['decoder'] ?? null,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: model['unk_token'] ?? null,
      continuing_subword_prefix: model['continuing_subword_prefix'] ?? null,
      end_of_word_suffix: model['end_of_word_suffix'] ?? null,
      fuse_unk: model['fuse_unk'] ?? false,
      byte_fallback: model['byte_fallback'] ?? false,
      ignore_merges: model['ignore_merges'] ?? false,
      vocab: Object.fromEntries([...vocab].toSorted(([, a], [, b]) => a - b)),
      merges: mergePairs(model['merges']!),
    },
  };
}

function canonicalToken({ id, content, ...flags }: Token): JsonFields {
  const flag = (name: string) => flags[name] === true;
  return {
    id,
    content,
    single_word: flag('single_word'),
    lstrip: flag('lstrip'),
    rstrip: flag('rstrip'),
    normalized: flag('normalized') && !PLACE.test(content),
    special: flag('special'),
  };
}

/** Older files write `left right`; where a piece has a space of its own, that cannot be taken apart and stays. */
function mergePairs(merges: JsonFields[string]): JsonFields[string] {
  if (!Array.isArray(merges) || !merges.every((merge) => typeof merge === 'string')) return merges;
  const pairs = merges.map((merge) => merge.split(' '));
  return pairs.every((pair) => pair.length === 2) ? pairs : merges;
}
