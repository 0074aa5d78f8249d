import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../../disk.js';
import type { Inputs } from '../../inputs/inputs.ts';
import { MAX_SAMPLES } from '../../samples/folder_samples.ts';
import { readSamples } from '../../samples/samples.ts';
import { evenly } from './evenly.ts';

/** A folder of pictures and prompts: at most as many as are taken of one, and half of the cases. */
export async function choosingFolder(samples: string, inputs: Inputs, folder: string): Promise<string> {
  const all = await readSamples(samples, inputs, Infinity);
  const chosen = evenly(all, Math.min(MAX_SAMPLES, Math.floor(all.length / 2)));
  await makeFolders(folder);
  for (const { image, name } of chosen) await copyFile(image, join(folder, name));
  const cases = chosen.map(({ name, prompt }) => ({ image: name, prompt }));
  await writeFile(join(folder, 'cases.json'), JSON.stringify({ cases }));
  return folder;
}
