import type { SidecarName } from '../checkpoints/checkpoint.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { IMAGE_TOKEN } from '../../backends/client/text/tokenizer.ts';
import { parseSidecar, readSidecar, readSidecars, type JsonFields, type Sidecar, type Sidecars } from './sidecar.ts';
import { addedBeside, tokenizerSource, type ParsedTokenizer } from './tokenizer_source.ts';

/** As GemmaTokenizer of transformers 5 names it by default. */
const MASK_TOKEN = '<mask>';

/** The tokens that a tokenizer and the files beside it name: which rows of a table mean something. */
export interface KnownTokens {
  /** The file that says most of it, for messages. */
  readonly file: string;
  /** One more than the largest id of a token that is not `<image>`. */
  readonly end: number;
  /** The id of `<image>`, where it is named. */
  readonly imageTokenId: number | undefined;
  /**
   * The id of `<mask>`, which transformers 5 gives to every Gemma tokenizer that it saves; no PaliGemma knows it.
   */
  readonly maskTokenId: number | undefined;
  /** Texts of the tokens that were added to the vocabulary, by id. */
  readonly added: ReadonlyMap<number, string>;
}

/**
 * What the tokenizer of a folder knows, or of the file that `named` names; undefined where there is none. As the bundle
 * gets it: from tokenizer.json, else tokenizer.model, with added_tokens.json and tokenizer_config.json.
 * @param files sidecars by name
 * @throws BadInputError for a damaged one
 */
export async function knownTokens(
  files: ReadonlyMap<SidecarName, InputFile>,
  named?: InputFile,
): Promise<KnownTokens | undefined> {
  const sidecars = await readSidecars(files);
  const given = named === undefined ? undefined : await readSidecar(named);
  const source = tokenizerSource(sidecars, given, parseFast);
  return source ? tokensOf(source.json, source.file) : tokensOfLists(sidecars);
}

/**
 * The 17 MB of a real tokenizer take the strict reader seconds, and `inspect` waits for them: whoever converts reads
 * them strictly before they are used.
 */
function parseFast(sidecar: Sidecar): JsonFields {
  try {
    const value: unknown = JSON.parse(Buffer.from(sidecar.bytes).toString('utf8'));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as JsonFields;
  } catch {
    // told by the strict reader, with its place
  }
  return parseSidecar(sidecar);
}

/** The same of a tokenizer that was read. */
export function tokensOf({ model: { vocab }, added_tokens: added }: ParsedTokenizer, file: string): KnownTokens {
  const names = new Map(added.map(({ id, content }) => [id, content]));
  const ids = [...Object.entries(vocab), ...added.map(({ id, content }) => [content, id] as const)];
  return { file, added: names, ...extentOf(ids) };
}

/** Folders that keep added tokens and no vocabulary: an adapter's, whose base has the rest. */
function tokensOfLists(sidecars: Sidecars): KnownTokens | undefined {
  const added = addedBeside(sidecars);
  if (added.length === 0) return undefined;
  return {
    file: (sidecars.get('added_tokens.json') ?? sidecars.get('tokenizer_config.json'))!.file,
    added: new Map(added.map(({ id, content }) => [id, content])),
    ...extentOf(added.map(({ id, content }) => [content, id])),
  };
}

function extentOf(
  ids: readonly (readonly [string, number])[],
): Pick<KnownTokens, 'end' | 'imageTokenId' | 'maskTokenId'> {
  let end = 0;
  let imageTokenId: number | undefined;
  let maskTokenId: number | undefined;
  for (const [text, id] of ids) {
    if (text === MASK_TOKEN) maskTokenId = id;
    if (text === IMAGE_TOKEN) imageTokenId = id;
    else if (id >= end) end = id + 1;
  }
  return { end, imageTokenId, maskTokenId };
}
