import { BadInputError } from '../../errors.ts';
import { evenLayers, GEMMA_2, HEAD_DIM_27B, type TextConfig } from './config.ts';
import type { Evidence } from './evidence.ts';
import type { HuggingFaceConfig } from './hugging_face_config.ts';

type Sizes = Pick<TextConfig, 'layers' | 'width' | 'heads' | 'headDim' | 'postNorms'>;
type Generation = Pick<
  TextConfig,
  'postNorms' | 'queryScale' | 'attentionSoftcap' | 'finalSoftcap' | 'slidingWindow' | 'slidingLayers'
>;

/**
 * What no shape tells and Gemma 1 and 2 do differently: config.json where there is one, else what the published
 * decoders have.
 */
export function generation(
  evidence: Evidence,
  sizes: Sizes,
  text: NonNullable<HuggingFaceConfig['text_config']> = {},
): Generation {
  const { layers, postNorms } = sizes;
  const queryScale = queryScaleOf(evidence, sizes, text.query_pre_attn_scalar);
  if (!postNorms)
    return { postNorms, queryScale, attentionSoftcap: 0, finalSoftcap: 0, slidingWindow: 0, slidingLayers: [] };
  // null switches a feature off; only an absent field means the default.
  const stated = (value: number | null | undefined) => (value === null ? 0 : value);
  const { layer_types: types } = text;
  if (types && types.length !== layers)
    throw new BadInputError(
      'config_mismatch',
      `config.json lists ${types.length} text_config.layer_types for ${layers} layers`,
      { file: evidence.file, hint: 'config.json and the weights are from different models: take both from one' },
    );
  const slidingLayers = types
    ? types.flatMap((type, i) => (type === 'sliding_attention' ? [i] : []))
    : evenLayers(layers);
  evidence.note(
    'text.slidingLayers',
    slidingLayers.length === 0 ? 'none' : isEven(slidingLayers, layers) ? 'even' : slidingLayers.join(' '),
    types ? 'config.json text_config.layer_types' : 'default: Gemma 2',
  );
  return {
    postNorms,
    queryScale,
    attentionSoftcap: evidence.fromConfig(
      'text.attentionSoftcap',
      stated(text.attn_logit_softcapping),
      'text_config.attn_logit_softcapping',
      GEMMA_2.attentionSoftcap,
      'Gemma 2',
    ),
    finalSoftcap: evidence.fromConfig(
      'text.finalSoftcap',
      stated(text.final_logit_softcapping),
      'text_config.final_logit_softcapping',
      GEMMA_2.finalSoftcap,
      'Gemma 2',
    ),
    slidingWindow: evidence.fromConfig(
      'text.slidingWindow',
      stated(text.sliding_window),
      'text_config.sliding_window',
      GEMMA_2.slidingWindow,
      'Gemma 2',
    ),
    slidingLayers,
  };
}

function queryScaleOf(
  evidence: Evidence,
  { width, heads, headDim, postNorms }: Sizes,
  scalar: number | undefined,
): number {
  if (!postNorms) return evidence.note('text.queryScale', headDim ** -0.5, 'headDim^-0.5: Gemma 1');
  if (scalar !== undefined)
    return evidence.note(
      'text.queryScale',
      scalar ** -0.5,
      `config.json text_config.query_pre_attn_scalar = ${scalar}`,
    );
  if (headDim === HEAD_DIM_27B)
    return evidence.note(
      'text.queryScale',
      (width / heads) ** -0.5,
      `default: (width / heads)^-0.5, as Gemma 2 27B, whose heads are ${HEAD_DIM_27B} wide, too`,
    );
  return evidence.note('text.queryScale', headDim ** -0.5, 'default: headDim^-0.5, as Gemma 2 2B and 9B');
}

function isEven(slidingLayers: readonly number[], layers: number): boolean {
  return slidingLayers.join() === evenLayers(layers).join();
}
