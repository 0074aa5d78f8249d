import { elementCount, type TensorData } from '../../../ir/tensor.ts';
import { reshapeData, selectRow } from '../../../ir/views/select.ts';
import { transposeData } from '../../../ir/views/transpose.ts';
import { BadInputError } from '../../errors.ts';
import { imageTokens, type PaliGemmaConfig } from './config.ts';

/** Only Gemma 2 has it (spec C). */
export const POST_NORM = 'llm/layers/post_ffw_norm/scale';

const EMBEDDING = 'llm/embedder/input_embedding';

/** How one array of a big_vision checkpoint becomes canonical weights (spec C and E). */
export interface ArrayLayout {
  readonly key: string;
  readonly shape: readonly number[];
  /** Canonical names and how each is cut from the array, or from one layer's part of it. */
  readonly parts: Readonly<Record<string, (array: TensorData) => TensorData>>;
  /** Arrays of layers have a leading axis of this length; `*` in a part's name stands for the index. */
  readonly layers?: number;
}

const whole = (x: TensorData) => x;
const swapped = (x: TensorData) => transposeData(x, [1, 0]);
/** (in, heads, size) or (heads, size, out) as a matrix [in, out], then [out, in]. */
const projection = (rows: number) => (x: TensorData) => swapped(reshapeData(x, [rows, elementCount(x.shape) / rows]));
/** (heads, in, size) → [heads · size, in]. */
const einsum = (x: TensorData) => reshapeData(transposeData(x, [0, 2, 1]), [x.shape[0]! * x.shape[2]!, x.shape[1]!]);
const flat = (x: TensorData) => reshapeData(x, [elementCount(x.shape)]);

/**
 * Every array that big_vision writes for a model of these sizes, in the order of its tree.
 * @param rows of the embedding
 */
export function bigVisionArrays(config: PaliGemmaConfig, rows = config.vocabSize): readonly ArrayLayout[] {
  const { vision, text } = config;
  const [v, d] = [vision.width, text.width];
  const block = 'img/Transformer/encoderblock';
  const attention = `${block}/MultiHeadDotProductAttention_0`;
  const visionLayers = (key: string, shape: readonly number[], parts: ArrayLayout['parts']): ArrayLayout => ({
    key,
    shape: [vision.layers, ...shape],
    parts,
    layers: vision.layers,
  });
  const textLayers = (key: string, shape: readonly number[], parts: ArrayLayout['parts']): ArrayLayout => ({
    key,
    shape: [text.layers, ...shape],
    parts,
    layers: text.layers,
  });
  const inputs = (['query', 'key', 'value'] as const).flatMap((name) => [
    visionLayers(`${attention}/${name}/kernel`, [v, vision.heads, vision.headDim], {
      [`vit.*.${name[0]}.w`]: projection(v),
    }),
    visionLayers(`${attention}/${name}/bias`, [vision.heads, vision.headDim], { [`vit.*.${name[0]}.b`]: flat }),
  ]);
  return [
    {
      key: 'img/embedding/kernel',
      shape: [vision.patchSize, vision.patchSize, 3, v],
      parts: { 'vit.patch.w': (x) => transposeData(x, [3, 2, 0, 1]) },
    },
    { key: 'img/embedding/bias', shape: [v], parts: { 'vit.patch.b': whole } },
    { key: 'img/pos_embedding', shape: [1, imageTokens(vision), v], parts: { 'vit.pos': (x) => selectRow(x, 0) } },
    visionLayers(`${block}/LayerNorm_0/scale`, [v], { 'vit.*.ln1.w': whole }),
    visionLayers(`${block}/LayerNorm_0/bias`, [v], { 'vit.*.ln1.b': whole }),
    ...inputs,
    visionLayers(`${attention}/out/kernel`, [vision.heads, vision.headDim, v], { 'vit.*.o.w': projection(v) }),
    visionLayers(`${attention}/out/bias`, [v], { 'vit.*.o.b': whole }),
    visionLayers(`${block}/LayerNorm_1/scale`, [v], { 'vit.*.ln2.w': whole }),
    visionLayers(`${block}/LayerNorm_1/bias`, [v], { 'vit.*.ln2.b': whole }),
    visionLayers(`${block}/MlpBlock_0/Dense_0/kernel`, [v, vision.mlpWidth], { 'vit.*.fc1.w': swapped }),
    visionLayers(`${block}/MlpBlock_0/Dense_0/bias`, [vision.mlpWidth], { 'vit.*.fc1.b': whole }),
    visionLayers(`${block}/MlpBlock_0/Dense_1/kernel`, [vision.mlpWidth, v], { 'vit.*.fc2.w': swapped }),
    visionLayers(`${block}/MlpBlock_0/Dense_1/bias`, [v], { 'vit.*.fc2.b': whole }),
    { key: 'img/Transformer/encoder_norm/scale', shape: [v], parts: { 'vit.ln_post.w': whole } },
    { key: 'img/Transformer/encoder_norm/bias', shape: [v], parts: { 'vit.ln_post.b': whole } },
    { key: 'img/head/kernel', shape: [v, d], parts: { 'proj.w': swapped } },
    { key: 'img/head/bias', shape: [d], parts: { 'proj.b': whole } },
    { key: EMBEDDING, shape: [rows, d], parts: { 'lm.embed': whole } },
    textLayers('llm/layers/pre_attention_norm/scale', [d], { 'lm.*.norm_attn_in': whole }),
    textLayers('llm/layers/attn/q_einsum/w', [text.heads, d, text.headDim], { 'lm.*.q': einsum }),
    textLayers('llm/layers/attn/kv_einsum/w', [2, text.kvHeads, d, text.headDim], {
      'lm.*.k': (x) => einsum(selectRow(x, 0)),
      'lm.*.v': (x) => einsum(selectRow(x, 1)),
    }),
    textLayers('llm/layers/attn/attn_vec_einsum/w', [text.heads, text.headDim, d], {
      'lm.*.o': projection(text.heads * text.headDim),
    }),
    ...(text.postNorms
      ? [textLayers('llm/layers/post_attention_norm/scale', [d], { 'lm.*.norm_attn_out': whole })]
      : []),
    textLayers('llm/layers/pre_ffw_norm/scale', [d], { 'lm.*.norm_mlp_in': whole }),
    textLayers('llm/layers/mlp/gating_einsum', [2, d, text.mlpWidth], {
      'lm.*.gate': (x) => swapped(selectRow(x, 0)),
      'lm.*.up': (x) => swapped(selectRow(x, 1)),
    }),
    textLayers('llm/layers/mlp/linear', [text.mlpWidth, d], { 'lm.*.down': swapped }),
    ...(text.postNorms ? [textLayers('llm/layers/post_ffw_norm/scale', [d], { 'lm.*.norm_mlp_out': whole })] : []),
    { key: 'llm/final_norm/scale', shape: [d], parts: { 'lm.norm': whole } },
  ];
}

/**
 * The arrays of a checkpoint as canonical weights.
 * @throws BadInputError for a missing array or one of another shape.
 */
export function canonicalFromBigVision(
  tensors: ReadonlyMap<string, TensorData>,
  config: PaliGemmaConfig,
): Map<string, TensorData> {
  const weights = new Map<string, TensorData>();
  for (const { key, shape, parts, layers } of bigVisionArrays(config, tensors.get(EMBEDDING)?.shape[0])) {
    const array = tensors.get(key);
    if (!array)
      throw new BadInputError('missing_tensor', `the checkpoint has no "${key}"`, {
        tensor: key,
        hint: 'take a complete PaliGemma checkpoint',
      });
    if (array.shape.join() !== shape.join())
      throw new BadInputError(
        'shape_mismatch',
        `"${key}" has shape [${array.shape.join(', ')}]; the other arrays say [${shape.join(', ')}]`,
        {
          tensor: key,
          ...(array.from && { file: array.from.file, offset: array.from.byteOffset }),
          hint: 'the arrays may come from different models: take a complete checkpoint',
        },
      );
    for (const [name, cut] of Object.entries(parts)) {
      if (layers === undefined) weights.set(name, cut(array));
      else for (let i = 0; i < layers; i++) weights.set(name.replace('*', String(i)), cut(selectRow(array, i)));
    }
  }
  return weights;
}

/**
 * Sizes from the arrays alone: the layout keeps every axis apart, so nothing is guessed.
 * @throws BadInputError when an array that tells a size is missing or has another rank.
 */
export function sizesFromBigVision(tensors: ReadonlyMap<string, TensorData>) {
  const shapeOf = (key: string, rank: number): readonly number[] => {
    const array = tensors.get(key);
    if (array?.shape.length === rank) return array.shape;
    throw new BadInputError(
      'missing_tensor',
      array
        ? `"${key}" has shape [${array.shape.join(', ')}]: ${rank} axes expected`
        : `the checkpoint has no "${key}"`,
      {
        tensor: key,
        ...(array?.from && { file: array.from.file, offset: array.from.byteOffset }),
        hint: 'take a complete PaliGemma checkpoint with layers stacked along the first axis, as big_vision writes it',
      },
    );
  };
  const kernel = shapeOf('img/embedding/kernel', 4);
  const positions = shapeOf('img/pos_embedding', 3);
  const query = shapeOf('img/Transformer/encoderblock/MultiHeadDotProductAttention_0/query/kernel', 4);
  const hidden = shapeOf('img/Transformer/encoderblock/MlpBlock_0/Dense_0/kernel', 3);
  const q = shapeOf('llm/layers/attn/q_einsum/w', 4);
  const kv = shapeOf('llm/layers/attn/kv_einsum/w', 5);
  const down = shapeOf('llm/layers/mlp/linear', 3);
  const [rows] = shapeOf(EMBEDDING, 2);
  return {
    vision: {
      layers: query[0]!,
      width: query[1]!,
      mlpWidth: hidden[2]!,
      heads: query[2]!,
      headDim: query[3]!,
      patchSize: kernel[0]!,
      imageTokens: positions[1]!,
    },
    text: {
      layers: q[0]!,
      width: q[2]!,
      mlpWidth: down[1]!,
      heads: q[1]!,
      kvHeads: kv[2]!,
      headDim: q[3]!,
      postNorms: tensors.has(POST_NORM),
    },
    rows: rows!,
  };
}
