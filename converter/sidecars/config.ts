import type { ProgramMetadata } from '../../ir/graph.ts';
import { BadInputError } from '../errors.ts';
import type { WithNotes } from '../../backends/client_files.ts';
import { listed, setFields } from './client_file.ts';
import { codeNotes, withoutCode } from './remote_code.ts';
import { isFields, type JsonFields } from './sidecar.ts';

const NAME = 'config.json';
/** Gemma generation of each family, as the client spells it. */
const TEXT_MODELS: Readonly<Record<string, string>> = { paligemma: 'gemma', paligemma2: 'gemma2' };

/**
 * Fields of config.json: the checkpoint's own, with what clients need. They choose classes by `model_type`, and merge
 * images by `image_token_index`.
 */
export function configFields(config: unknown, metadata: ProgramMetadata): WithNotes<JsonFields> {
  const source = (config ?? {}) as JsonFields;
  if (!isFields(source))
    throw new BadInputError('bad_config', 'config.json is not a JSON object', {
      file: NAME,
      hint: 'take config.json of the original model again',
    });
  const { fields: plain, left } = withoutCode(source);
  const { quantization_config: quantization, ...own } = plain;
  const text = fieldsOf(own, 'text_config');
  const vision = fieldsOf(own, 'vision_config');
  const top = setFields(own, {
    architectures: ['PaliGemmaForConditionalGeneration'],
    model_type: 'paligemma',
    image_token_index: metadata.imageTokenId,
    bos_token_id: metadata.bosTokenId,
    eos_token_id: containsId(own['eos_token_id'], metadata.eosTokenId) ? own['eos_token_id']! : metadata.eosTokenId,
    pad_token_id: metadata.padTokenId,
    // PaliGemma 2's published files say 2048 here whatever the width: no client reads it, people do.
    ...(typeof own['hidden_size'] === 'number' && { hidden_size: metadata.hiddenSize }),
  });
  const textFields = setFields(text, {
    model_type: TEXT_MODELS[metadata.family] ?? text['model_type'] ?? 'gemma',
    num_hidden_layers: metadata.layers,
    num_key_value_heads: metadata.kvHeads,
    head_dim: metadata.headDim,
    hidden_size: metadata.hiddenSize,
    max_position_embeddings: text['max_position_embeddings'] ?? metadata.maxPositions,
  });
  const visionFields = setFields(vision, {
    model_type: vision['model_type'] ?? 'siglip_vision_model',
    image_size: metadata.imageSize,
    num_image_tokens: metadata.imageTokens,
  });
  const fields = {
    ...top.fields,
    text_config: textFields.fields,
    vision_config: visionFields.fields,
  };
  const parts = [
    ['', top],
    ['text_config.', textFields],
    ['vision_config.', visionFields],
  ] as const;
  const added = parts.flatMap(([prefix, part]) => part.added.map((key) => prefix + key));
  const changed = parts.flatMap(([prefix, part]) => part.changed.map((key) => prefix + key));
  const notes = [
    ...(config === undefined ? [`${NAME}: derived from the sizes of the weights, as the checkpoint has none.`] : []),
    ...(config !== undefined && added.length > 0 ? [`${NAME}: added ${listed(added)}, which the client reads.`] : []),
    ...(changed.length > 0 ? [`${NAME}: corrected ${listed(changed)} to what the weights say.`] : []),
    ...codeNotes(NAME, left),
    ...(quantization === undefined
      ? []
      : [`${NAME}: left out quantization_config, which is about the checkpoint's files.`]),
  ];
  return { value: fields, notes };
}

function fieldsOf(config: JsonFields, key: string): JsonFields {
  const value = config[key];
  return isFields(value) ? value : {};
}

function containsId(ids: JsonFields[string] | undefined, id: number): boolean {
  return Array.isArray(ids) ? ids.includes(id) : ids === id;
}
