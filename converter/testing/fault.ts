import type { Runner } from '../../backends/backend.ts';
import type { Graph, Program } from '../../ir/graph.ts';
import { rewriteGraph } from '../../ir/rewrite.ts';
import { readTensor, tensorData, type Tensor, type TensorData } from '../../ir/tensor.ts';
import type { Rule } from '../bench/faults/rules.ts';
import { buildProgram } from '../models/paligemma.ts';
import type { Behaviour } from '../models/paligemma/behaviour.ts';
import type { PaliGemmaConfig, TextConfig } from '../models/paligemma/config.ts';
import type { CanonicalWeights } from '../models/paligemma/weights.ts';

export {
  isOp,
  newKeysFirst,
  nth,
  projectorScaledBy,
  suffixShifted,
  withoutNode,
  type Rule,
} from '../bench/faults/rules.ts';

export interface Sound {
  readonly config: PaliGemmaConfig;
  readonly weights: CanonicalWeights;
  /** Default Hugging Face's. */
  readonly behaviour?: Behaviour;
}

/** A mistake that is easy to make when building PaliGemma and leaves every shape right (spec H). */
export interface Fault {
  readonly name: string;
  /** Where it must first show: phase and stage. */
  readonly shows: `${'vision' | 'prefill' | 'suffix'} ${string}`;
  /** The broken program. */
  build(sound: Sound): Promise<Program>;
}

export type Edit = (weights: Map<string, TensorData>, config: PaliGemmaConfig) => void | Promise<void>;

export function soundProgram({ config, weights, behaviour }: Sound): Program {
  return buildProgram(config, weights, behaviour);
}

export function weightFault(name: string, shows: Fault['shows'], edit: Edit): Fault {
  return {
    name,
    shows,
    async build({ weights, ...sound }) {
      const edited = new Map(weights);
      await edit(edited, sound.config);
      return soundProgram({ ...sound, weights: edited });
    },
  };
}

/** Sizes and constants of the decoder that no shape contradicts. */
export function textFault(
  name: string,
  shows: Fault['shows'],
  edit: (text: TextConfig, config: PaliGemmaConfig) => Partial<TextConfig>,
): Fault {
  return {
    name,
    shows,
    build: async ({ config, ...sound }) =>
      soundProgram({ ...sound, config: { ...config, text: { ...config.text, ...edit(config.text, config) } } }),
  };
}

/**
 * `makeRule` is called for each build, so that a rule may count what it has met.
 * @throws Error when nothing matched: the fault would test nothing.
 */
export function graphFault(name: string, shows: Fault['shows'], graphName: Graph['name'], makeRule: () => Rule): Fault {
  return {
    name,
    shows,
    async build(sound) {
      const program = soundProgram(sound);
      const graphs = program.graphs.map((graph) =>
        graph.name === graphName ? rewriteGraph(graph, makeRule()) : graph,
      );
      if (graphs.every((graph, i) => graph === program.graphs[i]))
        throw new Error(`the fault "${name}" changed nothing`);
      return { ...program, graphs };
    },
  };
}

export const swap =
  (a: string, b: string): Edit =>
  (weights) => {
    const [first, second] = [weights.get(a)!, weights.get(b)!];
    weights.set(a, second).set(b, first);
  };

/** The elements of a weight in another order: `from` gives the source of each. */
export async function reorder(
  weights: Map<string, TensorData>,
  name: string,
  from: (index: number, tensor: Tensor) => number,
): Promise<void> {
  const tensor = await readTensor(weights.get(name)!);
  const data = tensor.data.slice();
  for (let i = 0; i < data.length; i++) data[i] = tensor.data[from(i, tensor)]!;
  weights.set(name, tensorData({ ...tensor, data }));
}

/** Rows of a matrix in another order. */
export function reorderRows(
  weights: Map<string, TensorData>,
  name: string,
  from: (row: number) => number,
): Promise<void> {
  return reorder(weights, name, (i, { shape }) => from(Math.floor(i / shape[1]!)) * shape[1]! + (i % shape[1]!));
}

/** Row r of the table, or of the head alone, is row r + `by`. */
export function rolled(name: 'lm.embed' | 'lm.head', by: number): Edit {
  return async (weights) => {
    const embed = weights.get('lm.embed')!;
    if (!weights.has('lm.head')) weights.set('lm.head', embed);
    await reorderRows(weights, name, (row) => (row + by) % embed.shape[0]!);
  };
}

/** A runner that computes one run after the other: what wraps its `run` is then in the way of all of them. */
export function oneByOne({ description, inputDtypes, run, dispose }: Runner): Runner {
  return { description, inputDtypes, run, dispose };
}
