import type { ClientFile, WithNotes } from '../../backends/client_files.ts';
import { jsonFile, listed } from './client_file.ts';
import { codeNotes, withoutCode } from './remote_code.ts';
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
/** Added in Gemma's and PaliGemma's files; special in tokenizer.json already. */
const ALREADY_SPECIAL: readonly JsonFields[string][] = ['<image>', '<start_of_turn>', '<end_of_turn>'];
/** transformers writes 10^30 where there is no limit. */
const NO_LIMIT = 1e18;

/**
 * tokenizer_config.json in canonical form: what the client reads, from the checkpoint's own or, where that says
 * nothing, as PaliGemmaProcessor needs it. Left out: the mask, separator and class tokens, which PaliGemma has no use
 * for, fields for Python alone (`add_bos_token`: its processor writes `<bos>` itself), and code (remote_code.ts).
 */
export function tokenizerConfigFile(sidecars: Sidecars): WithNotes<ClientFile> & { readonly tokens: SpecialTokens } {
  const original = sidecars.get(NAME);
  const { fields: source, left } = withoutCode(original ? parseSidecar(original) : {});
  const role = (key: keyof typeof ROLES) => textOf(source[key]) ?? ROLES[key];
  const tokens = { bos: role('bos_token'), eos: role('eos_token'), pad: role('pad_token'), unk: role('unk_token') };
  const limit = source['model_max_length'];
  const more = Array.isArray(source['additional_special_tokens'])
    ? source['additional_special_tokens']
        .flatMap((token) => textOf(token) ?? [])
        .filter((token) => !ALREADY_SPECIAL.includes(token))
    : [];
  const fields: JsonFields = {
    ...(more.length > 0 && { additional_special_tokens: more }),
    bos_token: tokens.bos,
    // Hugging Face never tidies the text of a BPE tokenizer; the client does unless told not to.
    clean_up_tokenization_spaces: false,
    ...(source['do_lowercase_and_remove_accent'] === true && { do_lowercase_and_remove_accent: true }),
    eos_token: tokens.eos,
    ...(typeof limit === 'number' && limit < NO_LIMIT && { model_max_length: limit }),
    pad_token: tokens.pad,
    padding_side: source['padding_side'] ?? 'left',
    ...(source['remove_space'] === true && { remove_space: true }),
    tokenizer_class: 'GemmaTokenizer',
    unk_token: tokens.unk,
  };
  const absent = Object.keys(ROLES).filter((key) => (source[key] ?? null) === null);
  const notes = original
    ? [
        ...(absent.length > 0 ? [`${NAME}: added ${listed(absent)}, which PaliGemma’s processor needs.`] : []),
        ...(source['clean_up_tokenization_spaces'] === true
          ? [
              `${NAME}: set clean_up_tokenization_spaces to false: the client would tidy spaces that Hugging Face keeps.`,
            ]
          : []),
        ...codeNotes(NAME, left),
      ]
    : [`${NAME}: made for Gemma's tokenizer, as the checkpoint has none.`];
  return { value: jsonFile(NAME, fields), notes, tokens };
}

/** A token may be its text or an object with flags. */
function textOf(token: JsonFields[string] | undefined): string | undefined {
  const text = isFields(token) ? token['content'] : token;
  return typeof text === 'string' ? text : undefined;
}
