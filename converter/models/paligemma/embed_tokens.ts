import { GraphBuilder } from '../../../ir/builder.ts';
import { sym } from '../../../ir/dim.ts';
import { dtypes } from '../../../ir/dtypes/index.ts';
import type { Graph } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { padRows } from '../../../ir/views/concat.ts';
import { mapData } from '../../../ir/views/map.ts';
import type { Behaviour } from './behaviour.ts';
import type { PaliGemmaConfig } from './config.ts';
import { tokenRows } from './token_rows.ts';
import { weightsOf, type CanonicalWeights } from './weights.ts';

/**
 * input_ids i64[batch_size, seq] to inputs_embeds f32[batch_size, seq, D], scaled by √D (spec A.4). Rows past the
 * vocabulary, and that of `<image>` within it, are zero in the bundle: `<image>` is replaced by image features and
 * nothing else may ask for them, while checkpoints hold random values there (spec A.3). Where the reference rounds as
 * the checkpoint is stored, both √D and the product are of that dtype (67.88 is 68 in bf16), and the table holds the
 * product.
 */
export function embedTokens(
  config: PaliGemmaConfig,
  weights: CanonicalWeights,
  { roundsLikeStorage }: Behaviour,
): Graph {
  const { text, tableRows } = config;
  const b = new GraphBuilder('embed_tokens');
  const stored = tokenRows(weights.get('lm.embed')!, config);
  const scale = Math.sqrt(text.width);
  const isScaled = roundsLikeStorage && stored.dtype !== 'f32';
  const storedScale = dtypes[stored.dtype].round(scale);
  const vocabulary = isScaled ? mapData(stored, (x) => x * storedScale) : stored;
  const table = weightsOf(b, new Map([['lm.embed', padRows(vocabulary, tableRows)]]))('lm.embed');
  const ids = b.input('input_ids', { dtype: 'i64', shape: [sym('batch_size'), sym('seq')] });
  const rows = b.op(ops.gather, [table, ids], {});
  b.output('inputs_embeds', isScaled ? rows : b.op(ops.mul, [rows, b.literal('f32', [], [scale])], {}));
  return b.build();
}
