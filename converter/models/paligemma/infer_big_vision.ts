import type { TensorData } from '../../../ir/tensor.ts';
import { POST_NORM, sizesFromBigVision } from './big_vision.ts';
import { paddedRows } from './config.ts';
import { Evidence, sideOf, type Inferred, type TableFacts } from './evidence.ts';
import { generation } from './generation.ts';
import { vocabularyOf } from './vocabulary.ts';

/** Sizes of a big_vision checkpoint: shapes tell all but constants of the architecture. */
export function inferFromBigVision(
  tensors: ReadonlyMap<string, TensorData>,
  file: string,
  { tokens, adapterRows = 0 }: TableFacts = {},
): Inferred {
  const evidence = new Evidence(file);
  const sizes = sizesFromBigVision(tensors);
  const side = sideOf(sizes.vision.imageTokens, 'img/pos_embedding', file);
  const shape = (field: string, value: number, tensor: string) =>
    evidence.fromShape(field, value, tensor, undefined, '');
  const constant = (field: string, value: number) => evidence.note(field, value, 'constant of big_vision’s PaliGemma');
  const { imageTokens: _, ...vision } = sizes.vision;
  const table = 'llm/embedder/input_embedding';
  const rows = Math.max(sizes.rows, adapterRows);
  // a vocabulary that ends before `<image>`, as big_vision has it, is followed by it
  const named = tokens?.imageTokenId !== undefined && tokens.imageTokenId < rows ? tokens.imageTokenId : undefined;
  const vocabulary = vocabularyOf({ rows, imageTokenId: named ?? sizes.rows, tokens, table });
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
      vocabSize: evidence.note('vocabSize', vocabulary.vocabSize, vocabulary.from),
      imageTokenId: evidence.note(
        'imageTokenId',
        vocabulary.imageTokenId,
        named === undefined ? 'the row after the vocabulary, as Hugging Face places it' : 'the tokenizer',
      ),
      tableRows: evidence.note(
        'tableRows',
        Math.max(rows, paddedRows(vocabulary.imageTokenId)),
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
