import type { Runner } from '../../backends/backend.ts';
import type { DType } from '../../ir/dtypes/index.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import type { Model } from '../decode.ts';

export const countingMetadata: ProgramMetadata = {
  family: 'counting',
  variant: 'counting',
  imageSize: 2,
  imageTokens: 1,
  imageTokenId: 11,
  vocabSize: 10,
  layers: 1,
  kvHeads: 1,
  headDim: 1,
  hiddenSize: 1,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
  maxPositions: 32,
};

export interface CountingModel extends Model {
  /** Inputs of every call of the decoder, in order. */
  readonly calls: Readonly<Record<string, Tensor>>[];
}

/**
 * A model in closed form that says, after token t, the token t - 1 (down to 0). Where its logits have more columns than
 * the vocabulary, those are the highest. The cache keeps the tokens read, so its length and dtype can be checked.
 */
export function countingModel(
  cacheDtype: DType = 'f32',
  metadata: ProgramMetadata = countingMetadata,
  columns: number = metadata.vocabSize,
): CountingModel {
  const calls: Readonly<Record<string, Tensor>>[] = [];
  const runner: Runner = {
    description: 'counting',
    inputDtypes: async () => ({ 'past_key_values.0.key': cacheDtype, 'past_key_values.0.value': cacheDtype }),
    run: async (graph, inputs) => {
      if (graph === 'vision_encoder') {
        const images = inputs['pixel_values']!.shape[0]!;
        return { image_features: tensorOf('f32', [images, 1, 1], new Array(images).fill(7)) };
      }
      if (graph === 'embed_tokens') {
        const { shape, data } = inputs['input_ids']!;
        return { inputs_embeds: tensorOf('f32', [...shape, 1], data) };
      }
      calls.push(inputs);
      return decode(inputs, metadata.vocabSize, columns);
    },
    dispose: async () => {},
  };
  return { runner, metadata, calls };
}

function decode(inputs: Readonly<Record<string, Tensor>>, vocabSize: number, columns: number): Record<string, Tensor> {
  const tokens = inputs['inputs_embeds']!;
  const past = inputs['past_key_values.0.key']!;
  const [batch, seq] = tokens.shape as readonly [number, number];
  const kept = Math.min(inputs['num_logits_to_keep']!.data[0]! || seq, seq);
  const logits = new Float32Array(batch * kept * columns);
  for (let b = 0; b < batch; b++)
    for (let k = 0; k < kept; k++) {
      const next = Math.max(0, tokens.data[b * seq + seq - kept + k]! - 1);
      for (let c = 0; c < columns; c++)
        logits[(b * kept + k) * columns + c] = c >= vocabSize ? 100 : -Math.abs(c - next);
    }
  const length = past.shape[2]! + seq;
  const cache = tensorOf(past.dtype, [batch, 1, length, 1], new Array(batch * length).fill(0));
  return {
    logits: { dtype: 'f32', shape: [batch, kept, columns], data: logits },
    'present.0.key': cache,
    'present.0.value': cache,
  };
}
