import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { BadInputError } from '../errors.ts';
import type { Family, Model, ModelOptions } from './family.ts';
import { refuseOther } from './others.ts';
import { paligemma } from './paligemma.ts';

/** Every model family: one line each. The first that matches wins. */
export const families: readonly Family[] = [paligemma];

/** @throws BadInputError when no family knows the checkpoint. */
export async function loadModel(checkpoint: Checkpoint, options: ModelOptions = {}): Promise<Model> {
  refuseOther(checkpoint, options.leaveOut);
  const family = families.find((f) => f.matches(checkpoint));
  if (family) return family.load(checkpoint, options);
  const names = [...checkpoint.tensors.keys()].slice(0, 3);
  throw new BadInputError(
    'unknown_family',
    names.length === 0
      ? 'the checkpoint holds no tensors'
      : `no supported model has tensors named ${names.map((n) => `"${n}"`).join(', ')}, …`,
    {
      file: checkpoint.path,
      hint: `pgconv converts ${families.map((f) => f.name).join(', ')}: a Hugging Face folder or a big_vision .npz`,
    },
  );
}
