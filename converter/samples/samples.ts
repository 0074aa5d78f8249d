import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { BadInputError } from '../errors.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { pictureKey } from './picture_key.ts';

const schema = z.looseObject({
  cases: z
    .array(
      z.looseObject({
        image: z.string().min(1),
        prompt: z.string(),
        text: z.string(),
        min_margin: z.number().optional(),
      }),
    )
    .min(1),
});

/** A picture and a prompt, with what the original model answered. */
export interface Sample {
  /** Absolute path of the picture. */
  readonly image: string;
  readonly name: string;
  readonly prompt: string;
  readonly reference: string;
}

/** How many are shown after a conversion. */
const SHOWN = 5;

/** The samples file that lies beside a checkpoint, when there is one. */
export async function findSamples(folder: string): Promise<string | undefined> {
  const file = join(folder, 'eval.json');
  return (await stat(file).catch(() => undefined))?.isFile() ? file : undefined;
}

/**
 * Reads `{cases: [{image, prompt, text}]}`; pictures lie beside the file, in its folder `images`, or in one a folder
 * above, as an adapter's do that lies in its base's folder. Takes cases with different
 * prompts first. @throws BadInputError when it is something else, or a picture is missing.
 */
export async function readSamples(file: string, inputs: Inputs, count = SHOWN): Promise<readonly Sample[]> {
  const parsed = schema.safeParse(await parseJson(file, inputs));
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new BadInputError('bad_samples', `${issue.path.join('.') || 'the file'}: ${issue.message}`, {
      file,
      hint: 'write {"cases": [{"image": "a.png", "prompt": "caption en", "text": "what the original says"}]}',
    });
  }
  const { cases } = parsed.data;
  const isFirst = cases.map(({ prompt }, i) => cases.findIndex((other) => other.prompt === prompt) === i);
  const picked = [...cases.filter((_, i) => isFirst[i]), ...cases.filter((_, i) => !isFirst[i])].slice(0, count);
  return Promise.all(
    picked.map(async ({ image, prompt, text }) => ({
      image: await findImage(file, image),
      name: image,
      prompt,
      reference: text,
    })),
  );
}

/** Without those whose picture chose codes. @param shown by `pictureKey` */
export async function withoutShown(samples: readonly Sample[], shown: ReadonlySet<string>): Promise<readonly Sample[]> {
  if (shown.size === 0) return samples;
  const judging: Sample[] = [];
  for (const sample of samples) if (!shown.has(await pictureKey(sample.image))) judging.push(sample);
  return judging;
}

async function parseJson(file: string, inputs: Inputs): Promise<unknown> {
  try {
    return JSON.parse(await inputs.readText(file));
  } catch (cause) {
    if (cause instanceof BadInputError) throw cause;
    throw new BadInputError(
      'bad_samples',
      `cannot read the samples: ${(cause as Error).message}`,
      { file, hint: 'give a JSON file with --samples' },
      { cause },
    );
  }
}

async function findImage(file: string, name: string): Promise<string> {
  const candidates = [
    join(dirname(file), 'images', name),
    join(dirname(file), name),
    join(dirname(dirname(file)), 'images', name),
  ];
  for (const path of candidates) if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  throw new BadInputError('bad_samples', `there is no picture "${name}"`, { file, hint: `put it at ${candidates[0]}` });
}
