import { jsonFile, listed, setFields, type ClientFile, type WithNotes } from './client_file.ts';
import { isFields, parseSidecar, type JsonFields, type Sidecars } from './sidecar.ts';

const NAME = 'tokenizer_config.json';

/** Spelling of the tokens that the client and its processor look up by role. */
export interface SpecialTokens {
  readonly bos: string;
  readonly eos: string;
  readonly pad: string;
  readonly unk: string;
}
const ROLES = { bos_token: '<bos>', eos_token: '<eos>', pad_token: '<pad>', unk_token: '<unk>' } as const;
/** Tokens that the client may read, in any of which an object would stop it. */
const TOKEN_FIELDS = [...Object.keys(ROLES), 'sep_token', 'cls_token', 'mask_token'];

/** tokenizer_config.json: the checkpoint's own, with what the client and PaliGemmaProcessor need. */
export function tokenizerConfigFile(sidecars: Sidecars): WithNotes<ClientFile> & { readonly tokens: SpecialTokens } {
  const original = sidecars.get(NAME);
  const source = original ? parseSidecar(original) : {};
  const unwrapped = TOKEN_FIELDS.filter((key) => isFields(source[key]) && typeof source[key]['content'] === 'string' && source[key]['__type'] !== 'AddedToken');
  const plain = { ...source, ...Object.fromEntries(unwrapped.map((key) => [key, (source[key] as JsonFields)['content']!])) };
  const absent = (key: string) => (plain[key] ?? null) === null;
  const set = setFields(plain, {
    ...Object.fromEntries(Object.entries(ROLES).filter(([key]) => absent(key))),
    ...(absent('tokenizer_class') && { tokenizer_class: 'GemmaTokenizer' }),
    ...(absent('padding_side') && { padding_side: 'left' }),
    // Hugging Face never tidies the text of a BPE tokenizer; the client does unless told not to.
    clean_up_tokenization_spaces: false,
  });
  const notes = original
    ? [
        ...(set.added.length > 0 ? [`${NAME}: added ${listed(set.added)}, where the client's defaults are not Hugging Face's.`] : []),
        ...(set.changed.length > 0 ? [`${NAME}: set ${listed(set.changed)} to false: the client would tidy spaces that Hugging Face keeps.`] : []),
        ...(unwrapped.length > 0 ? [`${NAME}: wrote ${listed(unwrapped)} as text, as the client refuses objects.`] : []),
      ]
    : [`${NAME}: made for Gemma's tokenizer, as the checkpoint has none.`];
  const untouched = original !== undefined && set.added.length + set.changed.length + unwrapped.length === 0;
  const [bos, eos, pad, unk] = Object.keys(ROLES).map((key) => textOf(set.fields[key]!)) as [string, string, string, string];
  return { value: jsonFile(NAME, set.fields, untouched ? original : undefined), notes, tokens: { bos, eos, pad, unk } };
}

function textOf(token: JsonFields[string]): string {
  return isFields(token) ? String(token['content']) : String(token);
}
