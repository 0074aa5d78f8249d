import { readdir, stat } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { z } from 'zod';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { isPicture } from '../images/is_picture.ts';
import type { Inputs } from '../inputs/inputs.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { CalibrationSample } from './calibration_sample.ts';
import { pictureKey } from './picture_key.ts';
import { picturePrompt } from './picture_prompt.ts';
import { spread } from './spread.ts';

/** Files with cases, the first that is there: `eval.json` lies beside checkpoints. */
const CASE_FILES = ['cases.json', 'eval.json'] as const;
const PROMPTS_FILE = 'prompts.txt';
/** Where the pictures of a file with cases may lie. */
const IMAGE_FOLDERS = ['', 'images'] as const;

/**
 * Samples taken of a folder: what one adds to ranges falls off quickly, and each takes a 3B minutes. More are spread
 * over the folder evenly.
 */
export const MAX_SAMPLES = 32;

const casesSchema = z.looseObject({
  cases: z.array(z.looseObject({ image: z.string().min(1), prompt: z.string() })).min(1),
});

/** What is shown of a folder. */
export interface FolderSamples {
  readonly samples: readonly CalibrationSample[];
  /** Pictures with prompts of it that are beyond the limit. */
  readonly leftOut: number;
}

export interface FolderOptions {
  readonly metadata: ProgramMetadata;
  /** Of the model; prompts are text. */
  readonly tokenizer: Tokenizer | undefined;
  /** How pictures become pixel values, and whose prompt tokens. */
  readonly processor: Processor;
  /** Which all that is read is among. */
  readonly inputs: Inputs;
  /** Default MAX_SAMPLES. */
  readonly maxSamples?: number;
}

/**
 * Pictures and prompts of a folder, in one of three forms:
 * `cases.json` or `eval.json`: {"cases": [{"image": "a.png", "prompt": "caption en"}]}, pictures beside it or in
 * `images/`; pictures with their prompts beside them, `a.png` and `a.txt`;
 * pictures and `prompts.txt`, one prompt a line: they are paired in order, and the fewer of the two repeat.
 * @throws UsageError `no_calibration_folder`, `no_tokenizer`; BadInputError `bad_calibration` naming the file and what
 * to write there
 */
export async function folderSamples(
  folder: string,
  { metadata, tokenizer, processor, inputs, maxSamples = MAX_SAMPLES }: FolderOptions,
): Promise<FolderSamples> {
  const names = await listFolder(folder);
  if (!tokenizer)
    throw new UsageError('no_tokenizer', 'prompts are text, and the checkpoint has no tokenizer', {
      file: folder,
      hint: 'give the model’s with --tokenizer, or leave the folder out of --calibrate',
    });
  const all = await pairsOf(folder, names, inputs);
  const pairs = spread(all, maxSamples);
  for (const { image } of pairs)
    if (!(await isFile(image)))
      throw new BadInputError('bad_calibration', 'the picture does not exist, or is no file', {
        file: image,
        hint: 'put it there, or take its case out',
      });
  const samples: CalibrationSample[] = [];
  for (const { image, prompt } of pairs)
    samples.push({
      name: `${parse(image).base} "${prompt}"`,
      picture: await pictureKey(image),
      load: () => picturePrompt(image, prompt, { metadata, tokenizer, processor, inputs }),
    });
  return { samples, leftOut: all.length - pairs.length };
}

/**
 * Pictures of folders that choose codes, by `pictureKey`: what chose codes never judges them, nor does a copy. Words
 * that name no folder give none.
 * @throws as `folderSamples`
 */
export async function picturesShown(
  folders: Iterable<string | undefined>,
  inputs: Inputs,
): Promise<ReadonlySet<string>> {
  const shown = new Set<string>();
  for (const folder of folders) {
    if (folder === undefined || NO_FOLDERS.has(folder)) continue;
    const pairs = spread(await pairsOf(folder, await listFolder(folder), inputs), MAX_SAMPLES);
    for (const { image } of pairs) shown.add(await pictureKey(image));
  }
  return shown;
}

/** What `--calibrate` says that is none. */
const NO_FOLDERS: ReadonlySet<string> = new Set(['', 'default', 'none']);

interface Pair {
  readonly image: string;
  readonly prompt: string;
}

async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).toSorted();
  } catch (cause) {
    throw new UsageError(
      'no_calibration_folder',
      `cannot read the folder: ${(cause as Error).message}`,
      { file: folder, hint: 'give a folder of pictures and prompts, or `default` for the built-in set' },
      { cause },
    );
  }
}

async function pairsOf(folder: string, names: readonly string[], inputs: Inputs): Promise<readonly Pair[]> {
  const cases = CASE_FILES.find((name) => names.includes(name));
  if (cases !== undefined) return readCases(folder, join(folder, cases), inputs);
  const pictures = names.filter((name) => isPicture(name));
  if (pictures.length === 0)
    throw new BadInputError('bad_calibration', 'there are no pictures', {
      file: folder,
      hint: `put PNG or JPEG files there, with prompts in ${PROMPTS_FILE}, one a line, or a.txt beside a.png`,
    });
  if (names.includes(PROMPTS_FILE)) {
    const prompts = await readPrompts(join(folder, PROMPTS_FILE), inputs);
    return Array.from({ length: Math.max(pictures.length, prompts.length) }, (_, i) => ({
      image: join(folder, pictures[i % pictures.length]!),
      prompt: prompts[i % prompts.length]!,
    }));
  }
  return Promise.all(
    pictures.map(async (picture) => {
      const prompt = `${parse(picture).name}.txt`;
      if (!names.includes(prompt))
        throw new BadInputError(
          'bad_calibration',
          `the picture has no prompt: there is neither ${prompt} nor ${PROMPTS_FILE}`,
          {
            file: join(folder, picture),
            hint: `write ${prompt} with its prompt, or ${PROMPTS_FILE} with a prompt a line`,
          },
        );
      return { image: join(folder, picture), prompt: (await readText(join(folder, prompt), inputs)).trimEnd() };
    }),
  );
}

async function readCases(folder: string, file: string, inputs: Inputs): Promise<readonly Pair[]> {
  const hint = 'write {"cases": [{"image": "a.png", "prompt": "caption en"}]}';
  let json: unknown;
  try {
    json = JSON.parse(await readText(file, inputs));
  } catch (cause) {
    if (cause instanceof BadInputError) throw cause;
    throw new BadInputError('bad_calibration', `not JSON: ${(cause as Error).message}`, { file, hint }, { cause });
  }
  const parsed = casesSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new BadInputError('bad_calibration', `${issue!.path.join('.') || 'the file'}: ${issue!.message}`, {
      file,
      hint,
    });
  }
  return Promise.all(
    parsed.data.cases.map(async ({ image, prompt }) => {
      const places = IMAGE_FOLDERS.map((place) => join(folder, place, image));
      for (const place of places) if (await isFile(place)) return { image: place, prompt };
      return { image: places[0]!, prompt };
    }),
  );
}

async function readPrompts(file: string, inputs: Inputs): Promise<readonly string[]> {
  const prompts = (await readText(file, inputs)).split(/\r?\n/).filter((line) => line.trim() !== '');
  if (prompts.length === 0)
    throw new BadInputError('bad_calibration', 'there are no prompts', { file, hint: 'write one prompt a line' });
  return prompts;
}

async function readText(file: string, inputs: Inputs): Promise<string> {
  try {
    return await inputs.readText(file);
  } catch (cause) {
    if (cause instanceof BadInputError && cause.code !== 'not_text') throw cause;
    throw new BadInputError(
      'bad_calibration',
      `cannot read the file as UTF-8 text: ${(cause as Error).message}`,
      { file, hint: 'write text there' },
      { cause },
    );
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
