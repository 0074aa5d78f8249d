import { randomSource } from '../../../ir/random_source.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { weightNamed, withWeights, type HeldCheckpoint } from './held_checkpoint.ts';

/** Columns of a block of codes: a width that is no multiple would leave blocks that hold fewer. */
const BLOCK = 32;
/** Of the draws by which a unit's outgoing weights are split: a share that is nearly none would be no second unit. */
const LEAST_DRAW = 0.25;

/** What makes a unit, and what reads it, of the MLPs of decoder and tower. */
const FORMS = [
  {
    first: '.mlp.gate_proj.weight',
    into: ['.mlp.gate_proj.weight', '.mlp.up_proj.weight'],
    from: '.mlp.down_proj.weight',
  },
  { first: '.mlp.fc1.weight', into: ['.mlp.fc1.weight', '.mlp.fc1.bias'], from: '.mlp.fc2.weight' },
] as const;

/**
 * Every MLP wider by a share of its units, in what it computes the same (Net2Wider, arXiv:1511.05641): units are
 * there twice, and share their outgoing weights in random proportions.
 */
export function widened(held: HeldCheckpoint, { share, seed }: { share: number; seed: number }): HeldCheckpoint {
  const next = randomSource(seed);
  const changed = new Map<string, Tensor>();
  const wider = (units: number) => BLOCK * Math.ceil((units * (1 + share)) / BLOCK);
  for (const { first, into, from } of FORMS)
    for (const name of held.weights.keys()) {
      if (!name.endsWith(first)) continue;
      const prefix = name.slice(0, -first.length);
      const units = weightNamed(held, name).shape[0]!;
      const sources = Array.from({ length: wider(units) }, (_, i) => (i < units ? i : Math.floor(next() * units)));
      const draws = sources.map(() => LEAST_DRAW + (1 - LEAST_DRAW) * next());
      const sums = new Float64Array(units);
      sources.forEach((source, i) => (sums[source]! += draws[i]!));
      const shares = draws.map((draw, i) => draw / sums[sources[i]!]!);
      for (const part of into) changed.set(prefix + part, rowsAgain(weightNamed(held, prefix + part), sources));
      changed.set(prefix + from, columnsAgain(weightNamed(held, prefix + from), sources, shares));
    }
  const { config } = held;
  const widths = (of: HeldCheckpoint['config']['text_config']) => ({
    ...of,
    intermediate_size: wider(of.intermediate_size),
  });
  return {
    ...withWeights(held, changed),
    config: { ...config, text_config: widths(config.text_config), vision_config: widths(config.vision_config) },
  };
}

/** Rows in another order, some of them several times; elements of a vector likewise. */
function rowsAgain({ dtype, shape, data }: Tensor, sources: readonly number[]): Tensor {
  const [rows, ...rest] = shape as readonly [number, ...number[]];
  const width = data.length / rows;
  const values = sources.flatMap((source) => Array.from(data.subarray(source * width, (source + 1) * width)));
  return tensorOf(dtype, [sources.length, ...rest], values);
}

/** The same of columns, each times its share. */
function columnsAgain({ dtype, shape, data }: Tensor, sources: readonly number[], shares: readonly number[]): Tensor {
  const [rows, width] = shape as readonly [number, number];
  const values = Array.from({ length: rows }, (_, row) =>
    sources.map((source, i) => data[row * width + source]! * shares[i]!),
  ).flat();
  return tensorOf(dtype, [rows, sources.length], values);
}
