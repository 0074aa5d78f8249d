import { z } from 'zod';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { stopTokens } from '../../ir/metadata.ts';
import type { ClientFile, WithNotes } from '../../backends/client_files.ts';
import { checkFields, jsonFile, listed, setFields } from './client_file.ts';
import { codeNotes, withoutCode } from './remote_code.ts';
import { parseSidecar, type JsonFields, type Sidecars } from './sidecar.ts';

const NAME = 'generation_config.json';
/** Enough for a caption or many boxes. Without the field, the client stops at 20 tokens in all, image included. */
const MAX_NEW_TOKENS = 256;

const count = z
  .int()
  .positive()
  .max(1 << 24)
  .nullish();
const id = z
  .int()
  .nonnegative()
  .max(1 << 24);
const schema = z.looseObject({
  max_new_tokens: count,
  max_length: count,
  num_beams: count,
  num_return_sequences: count,
  do_sample: z.boolean().nullish(),
  bos_token_id: id.nullish(),
  eos_token_id: z.union([id, z.array(id).min(1)]).nullish(),
  pad_token_id: id.nullish(),
});

/** Fields that the client cannot follow, by what makes them so. */
const STALE: Readonly<Record<string, (value: JsonFields[string]) => boolean>> = {
  cache_implementation: () => true,
  cache_config: () => true,
  // The client walks one beam only.
  num_beams: (value) => Number(value) > 1,
  num_beam_groups: (value) => Number(value) > 1,
  num_return_sequences: (value) => Number(value) > 1,
  // generate() would return an object in place of the ids.
  return_dict_in_generate: (value) => value === true,
  output_attentions: (value) => value === true,
  output_hidden_states: (value) => value === true,
  output_scores: (value) => value === true,
};

/** generation_config.json: the checkpoint's own, with a length and the ids of the model where it has none. */
export function generationConfigFile(sidecars: Sidecars, metadata: ProgramMetadata): WithNotes<ClientFile> {
  const original = sidecars.get(NAME);
  const { fields: source, left } = withoutCode(original ? parseSidecar(original) : {});
  if (original) checkFields(schema, source, original.file);
  const stale = Object.entries(source).flatMap(([key, value]) =>
    value !== null && Object.hasOwn(STALE, key) && STALE[key]!(value) ? [key] : [],
  );
  const kept = Object.fromEntries(Object.entries(source).filter(([key]) => !stale.includes(key)));
  const stops = stopTokens(metadata);
  const defaults: JsonFields = {
    bos_token_id: metadata.bosTokenId,
    eos_token_id: stops.length === 1 ? stops[0]! : [...stops],
    pad_token_id: metadata.padTokenId,
    max_new_tokens: MAX_NEW_TOKENS,
  };
  const set = setFields(
    kept,
    Object.fromEntries(Object.entries(defaults).filter(([key]) => (kept[key] ?? null) === null)),
  );
  const notes = original
    ? [
        ...(set.added.includes('max_new_tokens')
          ? [
              `${NAME}: added max_new_tokens ${MAX_NEW_TOKENS}, as the client would stop at 20 tokens, those of the image included.`,
            ]
          : []),
        ...(set.added.some((key) => key !== 'max_new_tokens')
          ? [`${NAME}: added ${listed(set.added.filter((key) => key !== 'max_new_tokens'))} of the model.`]
          : []),
        ...(stale.length > 0 ? [`${NAME}: left out ${listed(stale)}, which the client cannot follow.`] : []),
        ...codeNotes(NAME, left),
      ]
    : [
        `${NAME}: made from the model's token ids, as the checkpoint has none: greedy, at most ${MAX_NEW_TOKENS} new tokens.`,
      ];
  const untouched = original !== undefined && set.added.length + stale.length + left.length === 0;
  return { value: jsonFile(NAME, set.fields, untouched ? original : undefined), notes };
}
