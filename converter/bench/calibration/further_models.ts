import { InvalidArgumentError } from 'commander';
import type { AdapterSource } from '../../models/open_model.ts';
import { holdCheckpoint, writeHeld, type HeldCheckpoint } from './held_checkpoint.ts';
import { perturbed } from './perturb.ts';
import { rescaled } from './rescale.ts';
import { widened } from './widen.ts';

const SEGMENTS = { checkpoint: 'fixtures/segments/hf', samples: 'fixtures/segments/eval.json' };
const SHAPES = { checkpoint: 'fixtures/shapes/hf', samples: 'fixtures/shapes/eval.json' };
const LORA = 'fixtures/shapes/lora-shapes';

/** Makes copies of a unit two units that differ, and is too little to change answers. */
const TIE_BREAKING = 0.01;

/** A model that nobody looked at when ways to choose codes were made. */
export interface FurtherModel {
  readonly name: string;
  /** What it is made from. */
  readonly checkpoint: string;
  readonly adapters?: readonly AdapterSource[];
  /** Pictures and prompts, with what the parent answers. */
  readonly samples: string;
  /** Makes it of the parent; absent where the adapters do. */
  readonly change?: (parent: HeldCheckpoint) => HeldCheckpoint;
}

export const FURTHER_MODELS: readonly FurtherModel[] = [
  {
    name: 'segments-noise',
    ...SEGMENTS,
    change: (parent) => perturbed(parent, { strength: 0.02, seed: 1 }),
  },
  {
    name: 'shapes-noise',
    ...SHAPES,
    change: (parent) => perturbed(parent, { strength: 0.04, seed: 2 }),
  },
  {
    name: 'shapes-lora',
    checkpoint: SHAPES.checkpoint,
    adapters: [{ dir: LORA, scale: 1 }],
    samples: `${LORA}/eval.json`,
  },
  {
    name: 'segments-wide',
    ...SEGMENTS,
    change: (parent) => perturbed(widened(parent, { share: 0.25, seed: 4 }), { strength: TIE_BREAKING, seed: 5 }),
  },
  {
    name: 'segments-outliers',
    ...SEGMENTS,
    change: (parent) => rescaled(parent, { sigma: 0.7, seed: 6 }),
  },
];

/** Those, behind the two that ways to choose codes were made with. */
export const MODELS: readonly FurtherModel[] = [
  { name: 'segments', ...SEGMENTS },
  { name: 'shapes', ...SHAPES },
  ...FURTHER_MODELS,
];

/** Where the model lies: its parent, or what is written to `out`. */
export async function makeModel({ checkpoint, change }: FurtherModel, out: string): Promise<string> {
  if (!change) return checkpoint;
  await writeHeld(change(await holdCheckpoint(checkpoint)), checkpoint, out);
  return out;
}

/** Those of a list with commas. @throws InvalidArgumentError */
export function modelsNamed(text: string): readonly FurtherModel[] {
  return text.split(',').map((wanted) => {
    const found = MODELS.find(({ name }) => name === wanted);
    if (!found) throw new InvalidArgumentError(`it is one of ${MODELS.map(({ name }) => name).join(', ')}`);
    return found;
  });
}
