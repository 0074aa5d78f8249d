import type { ProgramMetadata } from '../../ir/graph.ts';
import { BadInputError } from '../errors.ts';
import { IMAGE_TOKEN } from '../../backends/client/text/tokenizer.ts';
import { addedToken, PLACE_TOKENS } from '../text/tokenizer_json.ts';
import { canonicalTokenizer } from './canonical_tokenizer.ts';
import type { ClientFile, WithNotes } from '../../backends/client_files.ts';
import { listed } from './client_file.ts';
import { isFields, type JsonFields } from './sidecar.ts';
import type { SpecialTokens } from './tokenizer_config.ts';
import type { ParsedTokenizer, TokenizerSource } from './tokenizer_source.ts';

const NAME = 'tokenizer.json';

/**
 * tokenizer.json as PaliGemmaProcessor needs it: `<image>` and `<bos>` are found in the text under the model's ids,
 * nothing is added around the text, and no token has an id that the model does not know. In canonical form.
 * @throws BadInputError when the tokenizer is another model's.
 */
export function tokenizerFile(
  { file, json, kind }: TokenizerSource,
  metadata: ProgramMetadata,
  tokens: SpecialTokens,
): WithNotes<ClientFile> {
  const notes: string[] = kind === 'SentencePiece' ? [`${NAME}: converted from the SentencePiece model.`] : [];
  const adds = tokensAddedBy(json['post_processor']);
  if (adds.length > 0)
    notes.push(
      `${NAME}: its post-processor added ${listed(adds)} to every text; it adds nothing now, as the processor writes ${tokens.bos} after the image tokens.`,
    );
  const places = missingPlaces(json, metadata);
  if (places.length > 0)
    notes.push(
      `${NAME}: added the ${places.length} tokens <loc0000> to <seg127>, which PaliGemma’s vocabulary has after Gemma’s.`,
    );
  const withPlaces = { ...json, added_tokens: [...json.added_tokens, ...places] };
  const image = findImageToken(withPlaces, metadata, file);
  if (image.note !== undefined) notes.push(image.note);
  const special = [
    [tokens.bos, metadata.bosTokenId],
    [tokens.eos, metadata.eosTokenId],
  ] as const;
  const unfound = special.filter(([token, id]) => checkId(json, token, id, file));
  if (unfound.length > 0)
    notes.push(`${NAME}: ${listed(unfound.map(([token]) => token))} is found in the text now, as an added token.`);
  const all = [...image.tokens, ...unfound.map(([token, id]) => newToken(id, token))];
  const unknown = all.filter((token) => token.id >= metadata.vocabSize && token.id !== metadata.imageTokenId);
  if (unknown.length > 0)
    notes.push(
      `${NAME}: left out ${listed(unknown.slice(0, 3).map((token) => token.content))}${unknown.length > 3 ? ` and ${unknown.length - 3} more` : ''}, with ids beyond the ${metadata.vocabSize} tokens of the model.`,
    );
  const usage = vocabularyNotes(withPlaces, metadata);
  const fields = canonicalTokenizer(
    { ...json, added_tokens: all.filter((token) => !unknown.includes(token)) },
    new Set(unknown.map((token) => token.content)),
  );
  // Without white space: the merges alone would take three times the room.
  return { value: { name: NAME, text: `${JSON.stringify(fields)}\n` }, notes: [...notes, ...usage], usage };
}

function newToken(id: number, content: string, special = true): ParsedTokenizer['added_tokens'][number] {
  return { ...addedToken(id, content, { special }) };
}

/** Names of the tokens that a post-processor puts around a text. */
function tokensAddedBy(processor: JsonFields[string] | undefined): string[] {
  if (!isFields(processor)) return [];
  const lists = [processor['single'], processor['pair']].flatMap((list) => (Array.isArray(list) ? list : []));
  const inTemplate = lists.flatMap((item) =>
    isFields(item) && isFields(item['SpecialToken']) ? [String(item['SpecialToken']['id'])] : [],
  );
  const nested = Array.isArray(processor['processors']) ? processor['processors'].flatMap(tokensAddedBy) : [];
  // BertProcessing and RobertaProcessing: [token, id].
  const fixed = [processor['cls'], processor['sep']].flatMap((token) =>
    Array.isArray(token) ? [String(token[0])] : [],
  );
  return [...new Set([...inTemplate, ...nested, ...fixed])];
}

/**
 * `<loc>` and `<seg>`, when the tokenizer is Gemma's: all but them, with just so many ids left before `<image>`.
 * big_vision appends them likewise.
 */
function missingPlaces(json: ParsedTokenizer, { imageTokenId }: ProgramMetadata): ParsedTokenizer['added_tokens'] {
  const size = 1 + largestId(json);
  if (size + PLACE_TOKENS.length !== imageTokenId || PLACE_TOKENS.some((token) => idOf(json, token) !== undefined))
    return [];
  return PLACE_TOKENS.map((token, index) => newToken(size + index, token, false));
}

/** The added tokens with `<image>` among them, and what was done for that. */
function findImageToken(
  json: ParsedTokenizer,
  { imageTokenId }: ProgramMetadata,
  file: string,
): { tokens: ParsedTokenizer['added_tokens']; note?: string } {
  const own = idOf(json, IMAGE_TOKEN);
  if (own !== undefined && own !== imageTokenId)
    throw mismatch(`${IMAGE_TOKEN} is token ${own} of the tokenizer, but ${imageTokenId} of the model`, file);
  if (json.added_tokens.some((token) => token.content === IMAGE_TOKEN)) return { tokens: json.added_tokens };
  const tokens = [...json.added_tokens, newToken(imageTokenId, IMAGE_TOKEN)];
  if (own !== undefined)
    return { tokens, note: `${NAME}: ${IMAGE_TOKEN} is found in the text now, as an added token.` };
  const there = tokenWithId(json, imageTokenId);
  if (there !== undefined)
    throw mismatch(`${imageTokenId}, the model’s ${IMAGE_TOKEN}, is its ${JSON.stringify(there)}`, file);
  const size = 1 + largestId(json);
  if (size < imageTokenId)
    throw mismatch(`it has ${size} tokens, but the model has ${imageTokenId} before its ${IMAGE_TOKEN}`, file);
  return { tokens, note: `${NAME}: added ${IMAGE_TOKEN} with the id ${imageTokenId}.` };
}

/**
 * True when the token is in the vocabulary but not found in the text.
 * @throws BadInputError when its id is not the model's.
 */
function checkId(json: ParsedTokenizer, token: string, id: number, file: string): boolean {
  const own = idOf(json, token);
  if (own !== id)
    throw mismatch(
      own === undefined ? `it has no ${token}` : `${token} is its token ${own}, but ${id} of the model`,
      file,
    );
  return !json.added_tokens.some((added) => added.content === token);
}

/** What the bundle cannot do because of its vocabulary. */
function vocabularyNotes(json: ParsedTokenizer, { vocabSize, imageTokenId }: ProgramMetadata): string[] {
  const added = new Set(json.added_tokens.map((token) => token.content));
  const beyond = Object.entries(json.model.vocab).filter(
    ([token, id]) => id >= vocabSize && id !== imageTokenId && !added.has(token),
  ).length;
  return [
    ...(beyond > 0
      ? [
          `${NAME}: ${beyond} of its tokens have ids beyond the ${vocabSize} of the model: text that has them cannot be asked.`,
        ]
      : []),
    ...(idOf(json, '<loc0000>') === undefined
      ? [`${NAME}: it has no <loc0000>: places in images will not be read or written as tokens.`]
      : []),
  ];
}

function idOf(json: ParsedTokenizer, token: string): number | undefined {
  return (
    json.added_tokens.find((added) => added.content === token)?.id ??
    (Object.hasOwn(json.model.vocab, token) ? json.model.vocab[token] : undefined)
  );
}

function tokenWithId(json: ParsedTokenizer, id: number): string | undefined {
  return (
    json.added_tokens.find((added) => added.id === id)?.content ??
    Object.entries(json.model.vocab).find(([, own]) => own === id)?.[0]
  );
}

function largestId(json: ParsedTokenizer): number {
  return [...json.added_tokens.map((token) => token.id), ...Object.values(json.model.vocab)].reduce(
    (most, id) => Math.max(most, id),
    -1,
  );
}

function mismatch(what: string, file: string): BadInputError {
  return new BadInputError('tokenizer_mismatch', `the tokenizer is not the model’s: ${what}`, {
    file,
    hint: 'give the tokenizer that the model was trained with; Gemma’s lacks PaliGemma’s <loc> and <seg>',
  });
}
