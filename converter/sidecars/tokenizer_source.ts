import { unsoundPattern } from '../../backends/client/text/foreign_patterns.ts';
import { shorten } from '../checkpoints/strict_json.ts';
import { BadInputError } from '../errors.ts';
import { readSentencePiece } from '../text/sentencepiece.ts';
import { addedToken, tokenizerJsonOf, type AddedToken } from '../text/tokenizer_json.ts';
import {
  isFields,
  MAX_TOKENIZER_BYTES,
  parseSidecar,
  refuseLfsPointer,
  type JsonFields,
  type Sidecar,
  type Sidecars,
} from './sidecar.ts';

/** A tokenizer.json of any origin: as much of it as is looked at, the rest untouched. */
export interface ParsedTokenizer extends JsonFields {
  model: JsonFields & { vocab: { [token: string]: number } };
  added_tokens: (JsonFields & Pick<AddedToken, 'id' | 'content'>)[];
}

export interface TokenizerSource {
  readonly file: string;
  readonly json: ParsedTokenizer;
  readonly kind: 'tokenizer.json' | 'SentencePiece';
}

/**
 * The tokenizer that the user names, else the checkpoint's tokenizer.json, else its tokenizer.model, with the tokens
 * that the files beside it add, as transformers adds them; undefined when there is none.
 * @param parse of tokenizer.json
 */
export function tokenizerSource(
  sidecars: Sidecars,
  named: Sidecar | undefined,
  parse: (sidecar: Sidecar) => JsonFields = parseSidecar,
): TokenizerSource | undefined {
  if (named) return readTokenizer(named, parse);
  const source = sidecars.get('tokenizer.json') ?? sidecars.get('tokenizer.model');
  if (!source) return undefined;
  const read = readTokenizer(source, parse);
  const { vocab } = read.json.model;
  const known = new Set(read.json.added_tokens.map(({ content }) => content));
  const added = addedBeside(sidecars).filter(({ content }) => !known.has(content) && !Object.hasOwn(vocab, content));
  if (added.length === 0) return read;
  return { ...read, json: { ...read.json, added_tokens: [...read.json.added_tokens, ...added] } };
}

/**
 * The tokens of added_tokens.json (`{"<act0>": 257153}`) and of tokenizer_config.json's `added_tokens_decoder`, which
 * says more of each.
 * @throws BadInputError for an id that is none
 */
export function addedBeside(sidecars: Sidecars): ParsedTokenizer['added_tokens'] {
  const found = new Map<string, ParsedTokenizer['added_tokens'][number]>();
  const add = (file: string, id: JsonFields[string] | undefined, content: string, flags: Partial<AddedToken>) => {
    if (!isId(id))
      throw new BadInputError('bad_tokenizer', `${JSON.stringify(content)} has the id ${JSON.stringify(id)}`, {
        file,
        hint: 'save the tokenizer again with save_pretrained',
      });
    found.set(content, { ...addedToken(id, content, { special: false, ...flags }) });
  };
  const list = sidecars.get('added_tokens.json');
  if (list) for (const [content, id] of Object.entries(parseSidecar(list))) add(list.file, id, content, {});
  const config = sidecars.get('tokenizer_config.json');
  const decoder = config && parseSidecar(config)['added_tokens_decoder'];
  if (isFields(decoder))
    for (const [key, token] of Object.entries(decoder)) {
      if (!isFields(token) || typeof token['content'] !== 'string' || token['content'] === '') continue;
      const flag = (name: string) => token[name] === true;
      add(config!.file, /^\d{1,9}$/.test(key) ? Number(key) : key, token['content'], {
        single_word: flag('single_word'),
        lstrip: flag('lstrip'),
        rstrip: flag('rstrip'),
        normalized: flag('normalized'),
        special: flag('special'),
      });
    }
  return [...found.values()];
}

/**
 * Reads a tokenizer.json or a tokenizer.model: what it is, its bytes tell.
 * @throws BadInputError when it is neither, damaged, or of a kind that PaliGemma does not have.
 */
function readTokenizer(source: Sidecar, parse: (sidecar: Sidecar) => JsonFields): TokenizerSource {
  const { file, bytes } = source;
  if (bytes.length > MAX_TOKENIZER_BYTES)
    throw new BadInputError('tokenizer_too_large', `a tokenizer of ${bytes.length} bytes`, {
      file,
      hint: 'give the tokenizer of the model',
    });
  refuseLfsPointer(bytes, file);
  if (startsJson(bytes)) return { file, json: checkTokenizer(parse(source), file), kind: 'tokenizer.json' };
  // A SentencePiece model begins with field 1, a piece, whose field 1 is its text.
  if (bytes[0] !== 0x0a)
    throw new BadInputError(
      'unknown_tokenizer',
      bytes.length === 0 ? 'the file is empty' : 'neither a tokenizer.json nor a SentencePiece model',
      {
        file,
        offset: 0,
        hint: 'give a tokenizer.model (PaliGemma’s is paligemma_tokenizer.model) or a tokenizer.json',
      },
    );
  return {
    file,
    json: tokenizerJsonOf(readSentencePiece(bytes, file)) as object as ParsedTokenizer,
    kind: 'SentencePiece',
  };
}

function startsJson(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09);
  return first === 0x7b;
}

function checkTokenizer(json: JsonFields, file: string): ParsedTokenizer {
  const { model, added_tokens: added = [] } = json;
  const fail = (message: string): never => {
    throw new BadInputError('bad_tokenizer', message, {
      file,
      hint: 'take the tokenizer.json of the original model again',
    });
  };
  if (!isFields(model)) return fail('it has no model: not a tokenizer.json of a fast tokenizer');
  const type = model['type'] ?? (isFields(model['vocab']) && Array.isArray(model['merges']) ? 'BPE' : undefined);
  if (type !== 'BPE')
    throw new BadInputError(
      'unsupported_tokenizer',
      `a tokenizer of type ${JSON.stringify(type ?? null)}: only BPE is supported, as PaliGemma’s is`,
      { file, hint: 'give the tokenizer of the model itself' },
    );
  const unsound = unsoundPattern(json);
  if (unsound !== undefined)
    throw new BadInputError(
      'unsupported_tokenizer',
      `a pattern that is none, or might take forever: ${shorten(unsound)}`,
      {
        file,
        hint: 'take the tokenizer.json of the original model, which has none like it',
      },
    );
  const { vocab, merges } = model;
  if (!isFields(vocab)) return fail('model.vocab: expected an object of tokens and ids');
  for (const [token, id] of Object.entries(vocab))
    if (!isId(id)) fail(`model.vocab: ${JSON.stringify(token)} has the id ${JSON.stringify(id)}`);
  if (!Array.isArray(merges)) return fail('model.merges: expected a list');
  // The library takes the form of all merges from the first.
  const asPairs = Array.isArray(merges[0]);
  const wrong = merges.findIndex((merge) =>
    asPairs
      ? !(Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string'))
      : typeof merge !== 'string',
  );
  if (wrong >= 0) fail(`model.merges: entry ${wrong} is ${JSON.stringify(merges[wrong])}`);
  if (!Array.isArray(added)) return fail('added_tokens: expected a list');
  for (const [index, token] of added.entries())
    if (!isFields(token) || !isId(token['id']) || typeof token['content'] !== 'string' || token['content'] === '')
      fail(`added_tokens: entry ${index} is ${JSON.stringify(token)}`);
  return { ...json, added_tokens: added } as ParsedTokenizer;
}

function isId(value: JsonFields[string] | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 1 << 24;
}
