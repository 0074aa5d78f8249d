import type { TensorData } from '../../../ir/tensor.ts';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { BadInputError } from '../../errors.ts';
import type { Inference } from '../family.ts';
import { sizesFromBigVision } from './big_vision.ts';
import { paddedRows, type PaliGemmaConfig } from './config.ts';
import { parseHuggingFaceConfig } from './hugging_face_config.ts';

export interface Inferred {
  readonly config: PaliGemmaConfig;
  readonly inferences: readonly Inference[];
}

/** Collects where each size came from, and holds shapes against what config.json claims. */
class Evidence {
  readonly inferences: Inference[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  note<T extends string | number>(field: string, value: T, from: string): T {
    this.inferences.push({ field, value, from });
    return value;
  }

  /** A size that a shape tells: config.json may only agree. @throws BadInputError when it does not. */
  fromShape(field: string, value: number, tensor: string, claimed: number | undefined, claim: string): number {
    if (claimed !== undefined && claimed !== value)
      throw new BadInputError('config_mismatch', `config.json says ${claim} = ${claimed}, but the shape of "${tensor}" says ${value}`, {
        file: this.#file,
        tensor,
        hint: 'config.json and the weights are from different models: take both from one',
      });
    return this.note(field, value, `shape of ${tensor}`);
  }

  /** What no shape tells: config.json, else the value that every published PaliGemma has. */
  fromConfig<T extends string | number>(field: string, claimed: T | null | undefined, claim: string, fallback: T, because: string): T {
    return claimed === undefined || claimed === null ? this.note(field, fallback, `default: ${because}`) : this.note(field, claimed, `config.json ${claim}`);
  }
}

function sideOf(tokens: number, tensor: string, file: string): number {
  const side = Math.round(Math.sqrt(tokens));
  if (side * side === tokens && side > 0) return side;
  throw new BadInputError('shape_mismatch', `"${tensor}" has ${tokens} positions, which no square image has`, { file, tensor, hint: 'take a complete PaliGemma checkpoint' });
}

/** Sizes of a big_vision checkpoint: shapes tell all but constants of the architecture. */
export function inferFromBigVision(tensors: ReadonlyMap<string, TensorData>, file: string): Inferred {
  const evidence = new Evidence(file);
  const sizes = sizesFromBigVision(tensors);
  const side = sideOf(sizes.vision.imageTokens, 'img/pos_embedding', file);
  const shape = (field: string, value: number, tensor: string) => evidence.fromShape(field, value, tensor, undefined, '');
  const constant = (field: string, value: number) => evidence.note(field, value, 'constant of big_vision’s PaliGemma');
  const { imageTokens: _, ...vision } = sizes.vision;
  const query = 'img/Transformer/encoderblock/MultiHeadDotProductAttention_0/query/kernel';
  return {
    config: {
      vision: {
        ...vision,
        layers: shape('vision.layers', vision.layers, query),
        width: shape('vision.width', vision.width, query),
        heads: shape('vision.heads', vision.heads, query),
        patchSize: shape('vision.patchSize', vision.patchSize, 'img/embedding/kernel'),
        imageSize: shape('vision.imageSize', side * vision.patchSize, 'img/pos_embedding'),
        epsilon: constant('vision.epsilon', 1e-6),
      },
      text: {
        ...sizes.text,
        layers: shape('text.layers', sizes.text.layers, 'llm/layers/attn/q_einsum/w'),
        width: shape('text.width', sizes.text.width, 'llm/layers/attn/q_einsum/w'),
        heads: shape('text.heads', sizes.text.heads, 'llm/layers/attn/q_einsum/w'),
        headDim: shape('text.headDim', sizes.text.headDim, 'llm/layers/attn/q_einsum/w'),
        kvHeads: shape('text.kvHeads', sizes.text.kvHeads, 'llm/layers/attn/kv_einsum/w'),
        epsilon: constant('text.epsilon', 1e-6),
        ropeTheta: constant('text.ropeTheta', 10000),
        maxPositions: constant('text.maxPositions', 8192),
      },
      vocabSize: shape('vocabSize', sizes.rows, 'llm/embedder/input_embedding'),
      imageTokenId: evidence.note('imageTokenId', sizes.rows, 'the row after the vocabulary, as Hugging Face places it'),
      tableRows: evidence.note('tableRows', paddedRows(sizes.rows), 'the vocabulary and <image>, padded to a multiple of 64'),
      padTokenId: constant('padTokenId', 0),
      eosTokenId: constant('eosTokenId', 1),
      bosTokenId: constant('bosTokenId', 2),
    },
    inferences: evidence.inferences,
  };
}

/** Sizes of a Hugging Face checkpoint: shapes first, config.json for what no shape tells. `tensors` by normalised name. */
export function inferFromHuggingFace(tensors: ReadonlyMap<string, TensorData>, checkpoint: Checkpoint): Inferred {
  const file = `${checkpoint.path}/config.json`;
  const { text_config: text = {}, vision_config: vision = {}, ...top } = parseHuggingFaceConfig(checkpoint.config, file);
  const evidence = new Evidence(file);
  const shapeOf = (name: string, rank: number): readonly number[] => {
    const data = tensors.get(name);
    if (data?.shape.length === rank) return data.shape;
    throw new BadInputError('missing_tensor', data ? `"${name}" has shape [${data.shape.join(', ')}]: ${rank} axes expected` : `the checkpoint has no "${name}"`, {
      file: data?.from?.file ?? checkpoint.path,
      tensor: name,
      hint: 'take a complete PaliGemma checkpoint: the folder with all .safetensors files and config.json',
    });
  };
  const layersOf = (prefix: string) => 1 + [...tensors.keys()].reduce((most, name) => Math.max(most, Number(new RegExp(`^${prefix}\\.layers\\.(\\d+)\\.`).exec(name)?.[1] ?? -1)), -1);
  const patch = 'vision_tower.embeddings.patch_embedding.weight';
  const positions = 'vision_tower.embeddings.position_embedding.weight';
  const fc1 = 'vision_tower.encoder.layers.0.mlp.fc1.weight';
  const table = 'language_model.embed_tokens.weight';
  const qProj = 'language_model.layers.0.self_attn.q_proj.weight';
  const kProj = 'language_model.layers.0.self_attn.k_proj.weight';
  const gate = 'language_model.layers.0.mlp.gate_proj.weight';
  const [visionWidth, , patchSize] = shapeOf(patch, 4) as [number, number, number, number];
  const side = sideOf(shapeOf(positions, 2)[0]!, positions, file);
  const visionHeads = evidence.fromConfig('vision.heads', vision.num_attention_heads, 'vision_config.num_attention_heads', 16, 'SigLIP So400m');
  const [rows, width] = shapeOf(table, 2) as [number, number];
  const [queryRows, keyRows] = [shapeOf(qProj, 2)[0]!, shapeOf(kProj, 2)[0]!];
  const headDim = evidence.fromConfig('text.headDim', text.head_dim, 'text_config.head_dim', 256, 'Gemma 2B');
  if (queryRows % headDim !== 0 || keyRows % headDim !== 0 || visionWidth % visionHeads !== 0)
    throw new BadInputError('config_mismatch', `head_dim ${headDim} does not divide ${queryRows} query and ${keyRows} key rows, or ${visionHeads} heads do not divide ${visionWidth}`, {
      file,
      tensor: qProj,
      hint: 'set text_config.head_dim and vision_config.num_attention_heads in config.json to the model’s own',
    });
  const imageTokenId = evidence.fromConfig('imageTokenId', top.image_token_index ?? top.image_token_id, 'image_token_index', rows > 257152 ? 257152 : rows, 'the row after the vocabulary');
  // `<image>` followed by more rows is where Hugging Face pads a table (spec A.3); as the last row it is a token like others.
  const vocabSize = imageTokenId + 1 < rows ? imageTokenId : rows;
  return {
    config: {
      vision: {
        layers: evidence.fromShape('vision.layers', layersOf('vision_tower\\.encoder'), 'vision_tower.encoder.layers.*', vision.num_hidden_layers, 'vision_config.num_hidden_layers'),
        width: evidence.fromShape('vision.width', visionWidth, patch, vision.hidden_size, 'vision_config.hidden_size'),
        mlpWidth: evidence.fromShape('vision.mlpWidth', shapeOf(fc1, 2)[0]!, fc1, vision.intermediate_size, 'vision_config.intermediate_size'),
        heads: visionHeads,
        headDim: visionWidth / visionHeads,
        patchSize: evidence.fromShape('vision.patchSize', patchSize, patch, vision.patch_size, 'vision_config.patch_size'),
        imageSize: evidence.fromShape('vision.imageSize', side * patchSize, positions, vision.image_size, 'vision_config.image_size'),
        epsilon: evidence.fromConfig('vision.epsilon', vision.layer_norm_eps, 'vision_config.layer_norm_eps', 1e-6, 'SigLIP'),
      },
      text: {
        layers: evidence.fromShape('text.layers', layersOf('language_model'), 'language_model.layers.*', text.num_hidden_layers, 'text_config.num_hidden_layers'),
        width: evidence.fromShape('text.width', width, table, text.hidden_size, 'text_config.hidden_size'),
        mlpWidth: evidence.fromShape('text.mlpWidth', shapeOf(gate, 2)[0]!, gate, text.intermediate_size, 'text_config.intermediate_size'),
        heads: evidence.fromShape('text.heads', queryRows / headDim, qProj, text.num_attention_heads, 'text_config.num_attention_heads'),
        kvHeads: evidence.fromShape('text.kvHeads', keyRows / headDim, kProj, text.num_key_value_heads, 'text_config.num_key_value_heads'),
        headDim,
        epsilon: evidence.fromConfig('text.epsilon', text.rms_norm_eps, 'text_config.rms_norm_eps', 1e-6, 'Gemma'),
        ropeTheta: evidence.fromConfig('text.ropeTheta', text.rope_parameters?.rope_theta ?? text.rope_theta, 'text_config rope_theta', 10000, 'Gemma'),
        maxPositions: evidence.fromConfig('text.maxPositions', text.max_position_embeddings, 'text_config.max_position_embeddings', 8192, 'Gemma'),
      },
      vocabSize: evidence.note('vocabSize', vocabSize, vocabSize === rows ? `shape of ${table}` : 'the rows before <image>; those after it are padding'),
      imageTokenId,
      tableRows: evidence.note('tableRows', Math.max(rows, imageTokenId + 1), `shape of ${table}`),
      bosTokenId: evidence.fromConfig('bosTokenId', top.bos_token_id, 'bos_token_id', 2, 'Gemma'),
      eosTokenId: evidence.fromConfig('eosTokenId', Array.isArray(top.eos_token_id) ? top.eos_token_id[0] : top.eos_token_id, 'eos_token_id', 1, 'Gemma'),
      padTokenId: evidence.fromConfig('padTokenId', top.pad_token_id, 'pad_token_id', 0, 'Gemma'),
    },
    inferences: evidence.inferences,
  };
}
