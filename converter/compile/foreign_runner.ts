import type { ForeignBundle } from '../../backends/foreign.ts';
import type { Runner, RunOptions } from '../../backends/backend.ts';
import type { ProgramMetadata } from '../../ir/metadata.ts';
import { hasImageWithin } from '../../ir/metadata.ts';
import type { Tensor } from '../../ir/tensor.ts';

type Tensors = Readonly<Record<string, Tensor>>;

/** How exports of one model differ, and each is right. */
export interface Habits {
  /** What token embeddings and image features are given and taken smaller by: √D where the decoder scales them. */
  readonly scale: number;
  /** Runs the graphs that the export has not. */
  readonly rest: Runner | undefined;
}

/**
 * An export as what a bundle of ours would be: features and embeddings as they are outside of the decoder, logits of
 * the vocabulary's columns, of which `<image>` is none, and the graphs that it has not by another.
 */
export function asBundle(
  { runner, graphs }: Pick<ForeignBundle, 'runner' | 'graphs'>,
  metadata: Pick<ProgramMetadata, 'vocabSize' | 'imageTokenId'>,
  { scale, rest }: Habits,
): Runner {
  const run = async (graph: string, inputs: Tensors, options: RunOptions = {}): Promise<Tensors> => {
    if (!graphs.includes(graph) && rest) return rest.run(graph, inputs, options);
    const { inputs_embeds: embeddings, ...others } = inputs;
    const given =
      embeddings && graph === 'decoder' ? { ...others, inputs_embeds: times(embeddings, 1 / scale) } : inputs;
    const results = await runner.run(graph, given, options);
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => {
        if (name === 'logits') return [name, ofVocabulary(tensor, metadata)];
        return [name, name === 'image_features' || name === 'inputs_embeds' ? times(tensor, scale) : tensor];
      }),
    );
  };
  return {
    description: runner.description,
    ...(runner.device && { device: runner.device }),
    seeksStages: runner.seeksStages ?? false,
    inputDtypes: (graph) => (graphs.includes(graph) || !rest ? runner : rest).inputDtypes(graph),
    run,
    dispose: () => runner.dispose(),
  };
}

function times(tensor: Tensor, factor: number): Tensor {
  if (factor === 1) return tensor;
  return { ...tensor, data: Float32Array.from(tensor.data, (x) => x * factor) };
}

/** Any mask is below what counts as one (verify/image_column.ts). */
const MASK = -65_504;

/** Checkpoints have rows behind the vocabulary, and a logit for `<image>`; what an original says there is nobody's. */
function ofVocabulary(
  logits: Tensor,
  { vocabSize, imageTokenId }: Pick<ProgramMetadata, 'vocabSize' | 'imageTokenId'>,
): Tensor {
  const { dtype, shape, data } = logits;
  const width = shape.at(-1)!;
  const isMasked = hasImageWithin({ vocabSize, imageTokenId });
  if (width < vocabSize || (width === vocabSize && !isMasked)) return logits;
  const rows = data.length / width;
  const out = new Float32Array(rows * vocabSize);
  for (let row = 0; row < rows; row++) {
    out.set(data.subarray(row * width, row * width + vocabSize), row * vocabSize);
    if (isMasked) out[row * vocabSize + imageTokenId] = MASK;
  }
  return { dtype, shape: [...shape.slice(0, -1), vocabSize], data: out };
}

/** What to multiply `a` by to get nearest to `b`; undefined when it then is no closer than a hundredth. */
export function ratioOf(a: Tensor, b: Tensor): number | undefined {
  if (a.data.length !== b.data.length) return undefined;
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.data.length; i++) {
    ab += a.data[i]! * b.data[i]!;
    aa += a.data[i]! ** 2;
    bb += b.data[i]! ** 2;
  }
  const off = Math.sqrt(Math.max(0, 1 - ab ** 2 / (aa * bb)));
  return off < 0.01 ? ab / aa : undefined;
}
