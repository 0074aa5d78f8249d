import type { TensorData } from '../../../ir/tensor.ts';
import { POST_NORM, sizesFromBigVision } from './big_vision.ts';
import { paddedRows } from './config.ts';
import { Evidence, sideOf, type Inferred } from './evidence.ts';
import { generation } from './generation.ts';

/** Sizes of a big_vision checkpoint: shapes tell all but constants of the architecture. */
export function inferFromBigVision(tensors: ReadonlyMap<string, TensorData>, file: string): Inferred {
  const evidence = new Evidence(file);
  const sizes = sizesFromBigVision(tensors);
  const side = sideOf(sizes.vision.imageTokens, 'img/pos_embedding', file);
  const shape = (field: string, value: number, tensor: string) =>
    evidence.fromShape(field, value, tensor, undefined, '');
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
        ...generation(evidence, {
          ...sizes.text,
          postNorms: evidence.note(
            'text.postNorms',
            sizes.text.postNorms,
            `${sizes.text.postNorms ? 'there is' : 'there is no'} ${POST_NORM}`,
          ),
        }),
        epsilon: constant('text.epsilon', 1e-6),
        ropeTheta: constant('text.ropeTheta', 10000),
        maxPositions: constant('text.maxPositions', 8192),
      },
      vocabSize: shape('vocabSize', sizes.rows, 'llm/embedder/input_embedding'),
      imageTokenId: evidence.note(
        'imageTokenId',
        sizes.rows,
        'the row after the vocabulary, as Hugging Face places it',
      ),
      tableRows: evidence.note(
        'tableRows',
        paddedRows(sizes.rows),
        'the vocabulary and <image>, padded to a multiple of 64',
      ),
      retrievalWidth: 0,
      padTokenId: constant('padTokenId', 0),
      eosTokenId: constant('eosTokenId', 1),
      bosTokenId: constant('bosTokenId', 2),
    },
    inferences: evidence.inferences,
  };
}
