import type { TensorData } from '../../../ir/tensor.ts';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { BadInputError } from '../../errors.ts';
import { DECODERS } from './config.ts';
import { Evidence, sideOf, type Inferred, type TableFacts } from './evidence.ts';
import { generation } from './generation.ts';
import { parseHuggingFaceConfig, type HuggingFaceConfig } from './hugging_face_config.ts';
import { vocabularyOf } from './vocabulary.ts';

const RETRIEVAL = 'embedding_proj_layer.weight';
const GEMMA_2_NORM = 'language_model.layers.0.pre_feedforward_layernorm.weight';

type TextFields = NonNullable<HuggingFaceConfig['text_config']>;

/**
 * Only heads · headDim is in a shape, so one of the two is looked up: never width / heads, which Gemma 2 does not have.
 * @throws BadInputError when config.json divides the heads of a published decoder otherwise than it has them.
 */
function headDimOf(
  evidence: Evidence,
  text: TextFields,
  { queryRows, keyRows, width, tensor }: { queryRows: number; keyRows: number; width: number; tensor: string },
): number {
  const heads = text.num_attention_heads;
  const published = DECODERS.find(
    (decoder) =>
      decoder.width === width &&
      decoder.heads * decoder.headDim === queryRows &&
      decoder.kvHeads * decoder.headDim === keyRows,
  );
  const claimed = text.head_dim ?? (heads !== undefined && queryRows % heads === 0 ? queryRows / heads : undefined);
  if (published && claimed !== undefined && claimed !== published.headDim)
    throw new BadInputError(
      'config_mismatch',
      `config.json makes heads ${claimed} wide, but the decoder of width ${width} with ${queryRows} query and ${keyRows} key rows has ${published.heads} heads of ${published.headDim}`,
      {
        file: evidence.file,
        tensor,
        hint: `set text_config.head_dim to ${published.headDim} and num_attention_heads to ${published.heads}, or take config.json from the model that was fine-tuned`,
      },
    );
  if (text.head_dim !== undefined)
    return evidence.note('text.headDim', text.head_dim, 'config.json text_config.head_dim');
  if (claimed !== undefined)
    return evidence.note('text.headDim', claimed, `shape of ${tensor} and config.json text_config.num_attention_heads`);
  if (published)
    return evidence.note('text.headDim', published.headDim, `default: the published decoder of width ${width}`);
  return evidence.note('text.headDim', 256, 'default: Gemma 2B');
}

/** Gemma 2 by its norms; config.json may only agree. */
function postNormsOf(
  evidence: Evidence,
  tensors: ReadonlyMap<string, TensorData>,
  modelType: string | undefined,
): boolean {
  const found = tensors.has(GEMMA_2_NORM);
  if (modelType !== undefined && modelType !== (found ? 'gemma2' : 'gemma'))
    throw new BadInputError(
      'config_mismatch',
      `config.json says text_config.model_type = "${modelType}", but ${found ? 'there is' : 'there is no'} "${GEMMA_2_NORM}"`,
      {
        file: evidence.file,
        tensor: GEMMA_2_NORM,
        hint: 'config.json and the weights are from different models: take both from one (PaliGemma has "gemma", PaliGemma 2 "gemma2")',
      },
    );
  return evidence.note('text.postNorms', found, `${found ? 'there is' : 'there is no'} ${GEMMA_2_NORM}`);
}

/** Spellings of tanh-approximated gelu: configs say "gelu" and mean it (spec D.2). */
const GELU_TANH = new Set(['gelu_pytorch_tanh', 'gelu_fast', 'gelu_new', 'gelu']);

function refuseOtherArithmetic(
  text: TextFields,
  vision: NonNullable<HuggingFaceConfig['vision_config']>,
  file: string,
): void {
  const activations = {
    'text_config.hidden_act': text.hidden_act,
    'text_config.hidden_activation': text.hidden_activation,
    'vision_config.hidden_act': vision.hidden_act,
  };
  for (const [field, value] of Object.entries(activations))
    if (value !== undefined && value !== null && !GELU_TANH.has(value))
      throw new BadInputError(
        'unsupported_config',
        `config.json says ${field} = "${value}": PaliGemma has gelu_pytorch_tanh`,
        { file, hint: 'this is another architecture: take the config.json of the PaliGemma that was fine-tuned' },
      );
  if (text.attention_bias)
    throw new BadInputError(
      'unsupported_config',
      'config.json says text_config.attention_bias = true: Gemma has none',
      { file, hint: 'take the config.json of the PaliGemma that was fine-tuned' },
    );
  const rope = text.rope_parameters?.rope_type;
  if (rope !== undefined && rope !== 'default')
    throw new BadInputError('unsupported_config', `config.json says rope_type = "${rope}": PaliGemma has the default`, {
      file,
      hint: 'take the config.json of the PaliGemma that was fine-tuned',
    });
}

/** Gemma's `<eos>`. */
const END_TOKEN = 1;

/**
 * Sizes of a Hugging Face checkpoint: shapes first, config.json for what no shape tells. `tensors` by normalised name.
 */
export function inferFromHuggingFace(
  tensors: ReadonlyMap<string, TensorData>,
  checkpoint: Checkpoint,
  { tokens, adapterRows = 0 }: TableFacts = {},
): Inferred {
  const file = `${checkpoint.path}/config.json`;
  const {
    text_config: text = {},
    vision_config: vision = {},
    ...top
  } = parseHuggingFaceConfig(checkpoint.config, file);
  const evidence = new Evidence(file);
  const shapeOf = (name: string, rank: number): readonly number[] => {
    const data = tensors.get(name);
    if (data?.shape.length === rank) return data.shape;
    throw new BadInputError(
      'missing_tensor',
      data
        ? `"${name}" has shape [${data.shape.join(', ')}]: ${rank} axes expected`
        : `the checkpoint has no "${name}"`,
      {
        file: data?.from?.file ?? checkpoint.path,
        tensor: name,
        hint: 'take a complete PaliGemma checkpoint: the folder with all .safetensors files and config.json',
      },
    );
  };
  const layersOf = (prefix: string) =>
    1 +
    [...tensors.keys()].reduce(
      (most, name) => Math.max(most, Number(new RegExp(`^${prefix}\\.layers\\.(\\d+)\\.`).exec(name)?.[1] ?? -1)),
      -1,
    );
  const patch = 'vision_tower.embeddings.patch_embedding.weight';
  const positions = 'vision_tower.embeddings.position_embedding.weight';
  const fc1 = 'vision_tower.encoder.layers.0.mlp.fc1.weight';
  const table = 'language_model.embed_tokens.weight';
  const qProj = 'language_model.layers.0.self_attn.q_proj.weight';
  const kProj = 'language_model.layers.0.self_attn.k_proj.weight';
  const gate = 'language_model.layers.0.mlp.gate_proj.weight';
  const [visionWidth, , patchSize] = shapeOf(patch, 4) as [number, number, number, number];
  const side = sideOf(shapeOf(positions, 2)[0]!, positions, file);
  const visionHeads = evidence.fromConfig(
    'vision.heads',
    vision.num_attention_heads,
    'vision_config.num_attention_heads',
    16,
    'SigLIP So400m',
  );
  const [rows, width] = shapeOf(table, 2) as [number, number];
  const [queryRows, keyRows] = [shapeOf(qProj, 2)[0]!, shapeOf(kProj, 2)[0]!];
  const headDim = headDimOf(evidence, text, { queryRows, keyRows, width, tensor: qProj });
  const postNorms = postNormsOf(evidence, tensors, text.model_type);
  refuseOtherArithmetic(text, vision, file);
  if (queryRows % headDim !== 0 || keyRows % headDim !== 0 || visionWidth % visionHeads !== 0)
    throw new BadInputError(
      'config_mismatch',
      `head_dim ${headDim} does not divide ${queryRows} query and ${keyRows} key rows, or ${visionHeads} heads do not divide ${visionWidth}`,
      {
        file,
        tensor: qProj,
        hint: 'set text_config.head_dim and vision_config.num_attention_heads in config.json to the model’s own',
      },
    );
  const tableRows = Math.max(rows, adapterRows);
  const stated = top.image_token_index ?? top.image_token_id;
  const vocabulary = vocabularyOf({ rows: tableRows, imageTokenId: stated, tokens, table });
  const imageTokenId = evidence.fromConfig(
    'imageTokenId',
    stated,
    'image_token_index',
    vocabulary.imageTokenId,
    tokens?.imageTokenId === undefined ? 'the row after the vocabulary' : 'the tokenizer',
  );
  return {
    config: {
      vision: {
        layers: evidence.fromShape(
          'vision.layers',
          layersOf('vision_tower\\.encoder'),
          'vision_tower.encoder.layers.*',
          vision.num_hidden_layers,
          'vision_config.num_hidden_layers',
        ),
        width: evidence.fromShape('vision.width', visionWidth, patch, vision.hidden_size, 'vision_config.hidden_size'),
        mlpWidth: evidence.fromShape(
          'vision.mlpWidth',
          shapeOf(fc1, 2)[0]!,
          fc1,
          vision.intermediate_size,
          'vision_config.intermediate_size',
        ),
        heads: visionHeads,
        headDim: visionWidth / visionHeads,
        patchSize: evidence.fromShape(
          'vision.patchSize',
          patchSize,
          patch,
          vision.patch_size,
          'vision_config.patch_size',
        ),
        imageSize: evidence.fromShape(
          'vision.imageSize',
          side * patchSize,
          positions,
          vision.image_size,
          'vision_config.image_size',
        ),
        epsilon: evidence.fromConfig(
          'vision.epsilon',
          vision.layer_norm_eps,
          'vision_config.layer_norm_eps',
          1e-6,
          'SigLIP',
        ),
      },
      text: {
        layers: evidence.fromShape(
          'text.layers',
          layersOf('language_model'),
          'language_model.layers.*',
          text.num_hidden_layers,
          'text_config.num_hidden_layers',
        ),
        width: evidence.fromShape('text.width', width, table, text.hidden_size, 'text_config.hidden_size'),
        mlpWidth: evidence.fromShape(
          'text.mlpWidth',
          shapeOf(gate, 2)[0]!,
          gate,
          text.intermediate_size,
          'text_config.intermediate_size',
        ),
        heads: evidence.fromShape(
          'text.heads',
          queryRows / headDim,
          qProj,
          text.num_attention_heads,
          'text_config.num_attention_heads',
        ),
        kvHeads: evidence.fromShape(
          'text.kvHeads',
          keyRows / headDim,
          kProj,
          text.num_key_value_heads,
          'text_config.num_key_value_heads',
        ),
        headDim,
        ...generation(
          evidence,
          { layers: layersOf('language_model'), width, heads: queryRows / headDim, headDim, postNorms },
          text,
        ),
        epsilon: evidence.fromConfig('text.epsilon', text.rms_norm_eps, 'text_config.rms_norm_eps', 1e-6, 'Gemma'),
        ropeTheta: evidence.fromConfig(
          'text.ropeTheta',
          text.rope_parameters?.rope_theta ?? text.rope_theta,
          'text_config rope_theta',
          10000,
          'Gemma',
        ),
        maxPositions: evidence.fromConfig(
          'text.maxPositions',
          text.max_position_embeddings,
          'text_config.max_position_embeddings',
          8192,
          'Gemma',
        ),
      },
      vocabSize: evidence.note('vocabSize', vocabulary.vocabSize, vocabulary.from),
      imageTokenId,
      tableRows: evidence.note(
        'tableRows',
        Math.max(tableRows, imageTokenId + 1),
        tableRows === rows ? `shape of ${table}` : 'the table of the adapter',
      ),
      retrievalWidth: tensors.has(RETRIEVAL)
        ? evidence.note('retrievalWidth', shapeOf(RETRIEVAL, 2)[0]!, `shape of ${RETRIEVAL}`)
        : 0,
      bosTokenId: evidence.fromConfig('bosTokenId', top.bos_token_id, 'bos_token_id', 2, 'Gemma'),
      eosTokenId: evidence.fromConfig('eosTokenId', endTokenOf(top.eos_token_id), 'eos_token_id', END_TOKEN, 'Gemma'),
      padTokenId: evidence.fromConfig('padTokenId', top.pad_token_id, 'pad_token_id', 0, 'Gemma'),
    },
    inferences: evidence.inferences,
  };
}

/** Of several, Gemma's own `<eos>` wherever it stands: the others end answers too, see `readStopTokens`. */
function endTokenOf(ids: number | readonly number[] | null | undefined): number | null | undefined {
  if (typeof ids !== 'object' || ids === null) return ids;
  return ids.includes(END_TOKEN) ? END_TOKEN : ids[0];
}
