import { cp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readTensor, tensorData, tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { openCheckpoint } from '../../checkpoints/index.ts';
import { writeSafetensors } from '../../checkpoints/safetensors_writer.ts';
import { makeFolders } from '../../disk.js';

const configSchema = z.looseObject({
  text_config: z.looseObject({ intermediate_size: z.int() }),
  vision_config: z.looseObject({ intermediate_size: z.int() }),
});

/** A checkpoint of Hugging Face's form whose weights are all held: of models that are small. */
export interface HeldCheckpoint {
  readonly config: z.infer<typeof configSchema>;
  readonly weights: ReadonlyMap<string, Tensor>;
}

/** @throws what `openCheckpoint` throws, ZodError for a config of another model */
export async function holdCheckpoint(dir: string): Promise<HeldCheckpoint> {
  const checkpoint = await openCheckpoint(dir);
  try {
    const weights = new Map<string, Tensor>();
    for (const [name, data] of checkpoint.tensors) weights.set(name, await readTensor(data));
    return { config: configSchema.parse(checkpoint.config), weights };
  } finally {
    await checkpoint.close();
  }
}

/** Writes a folder of it: beside weights and config what lies beside those of `parent`. */
export async function writeHeld({ config, weights }: HeldCheckpoint, parent: string, out: string): Promise<void> {
  await makeFolders(out);
  for (const name of await readdir(parent))
    if (!/safetensors|^config\.json$/.test(name)) await cp(join(parent, name), join(out, name));
  await writeFile(join(out, 'config.json'), JSON.stringify(config, null, 2));
  const tensors = [...weights].map(([name, tensor]) => ({ name, data: tensorData(tensor) }));
  await writeSafetensors(join(out, 'model.safetensors'), tensors, { format: 'pt' });
}

/** The same with other tensors under some names. */
export function withWeights(held: HeldCheckpoint, changed: ReadonlyMap<string, Tensor>): HeldCheckpoint {
  return { ...held, weights: new Map([...held.weights, ...changed]) };
}

/** A tensor of another one's dtype. */
export function valuesLike({ dtype, shape }: Tensor, values: ArrayLike<number>): Tensor {
  return tensorOf(dtype, shape, values);
}

/** @throws RangeError for a name that the checkpoint does not have */
export function weightNamed({ weights }: HeldCheckpoint, name: string): Tensor {
  const found = weights.get(name);
  if (!found) throw new RangeError(`the checkpoint has no ${name}`);
  return found;
}
