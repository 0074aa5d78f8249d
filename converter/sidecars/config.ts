import type { ProgramMetadata } from '../../ir/graph.ts';
import { BadInputError } from '../errors.ts';
import { jsonFile, listed, setFields, type ClientFile, type WithNotes } from './client_file.ts';
import { dtypesOf, externalDataOf, mainFolder, type OnnxFile } from './onnx_files.ts';
import { isFields, type JsonFields } from './sidecar.ts';

const NAME = 'config.json';
/** Gemma generation of each family, as the client spells it. */
const TEXT_MODELS: Readonly<Record<string, string>> = { paligemma: 'gemma', paligemma2: 'gemma2' };

/**
 * config.json: the checkpoint's own, with what the client needs. It chooses classes by `model_type`, merges images by
 * `image_token_index`, and finds files by `transformers.js_config`.
 */
export function configFile(
  config: unknown,
  metadata: ProgramMetadata,
  onnxFiles: readonly OnnxFile[],
): WithNotes<ClientFile> {
  const source = (config ?? {}) as JsonFields;
  if (!isFields(source))
    throw new BadInputError('bad_config', 'config.json is not a JSON object', {
      file: NAME,
      hint: 'take config.json of the original model again',
    });
  const { quantization_config: quantization, 'transformers.js_config': clientConfig, ...own } = source;
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
    'transformers.js_config': { dtype: dtypesOf(onnxFiles), use_external_data_format: externalDataOf(onnxFiles) },
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
    ...(quantization === undefined
      ? []
      : [`${NAME}: left out quantization_config, which is about the checkpoint's files.`]),
    ...(clientConfig === undefined
      ? []
      : [`${NAME}: replaced transformers.js_config, which was about another bundle's files.`]),
  ];
  const usage = otherFolders(onnxFiles);
  return { value: jsonFile(NAME, fields), notes: [...notes, ...usage], usage };
}

function fieldsOf(config: JsonFields, key: string): JsonFields {
  const value = config[key];
  return isFields(value) ? value : {};
}

function containsId(ids: JsonFields[string] | undefined, id: number): boolean {
  return Array.isArray(ids) ? ids.includes(id) : ids === id;
}

/**
 * config.json has one number per file name: a second folder may differ, and is then opened with the client's option.
 */
function otherFolders(files: readonly OnnxFile[]): string[] {
  const [main, known] = [mainFolder(files), externalDataOf(files)];
  const differing = files.filter(({ folder, name, dataFiles }) => folder !== main && (known[name] ?? 0) !== dataFiles);
  return [...new Set(differing.map((file) => file.folder))].map(
    (folder) =>
      `To open the folder ${folder}, give from_pretrained { subfolder: '${folder}', use_external_data_format: ${JSON.stringify(externalDataOf(files, folder))} }: its data files are not those that ${NAME} lists.`,
  );
}
