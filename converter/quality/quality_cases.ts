import { z } from 'zod';
import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Prompt } from '../../verify/prompt.ts';
import { defaultSamples } from '../samples/default_samples.ts';
import { picturePrompt } from '../samples/picture_prompt.ts';
import { BadInputError, UsageError } from '../errors.ts';
import type { Inputs } from '../inputs/inputs.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import { readSamples, withoutShown } from '../samples/samples.ts';
import { readTrueMasks, trueMaskFiles, type TrueMasks } from '../samples/true_masks.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** A picture and a prompt, with what is known of the answer. */
export interface QualityCase {
  readonly name: string;
  readonly prompt: string;
  /** The row, its picture read when it is asked for. @throws BadInputError for a damaged picture. */
  load(): Promise<Prompt>;
  /** What an implementation of the original was recorded to answer. */
  readonly recorded?: RecordedAnswer;
  /** What is right. */
  readonly truth?: string;
  /** Masks that are right, where the model has a mask decoder and they are known. */
  loadMasks?(): Promise<TrueMasks>;
}

export interface RecordedAnswer {
  readonly text: string;
  /** With the end token. */
  readonly tokens?: readonly number[];
  /** The smallest lead of one of the tokens over the runner-up. */
  readonly minMargin?: number;
}

export interface QualityCaseOptions {
  readonly metadata: ProgramMetadata;
  readonly tokenizer: Tokenizer | undefined;
  /** How pictures become pixel values, and whose prompt tokens. */
  readonly processor: Processor;
  /** Which all that is read is among. */
  readonly inputs: Inputs;
  /** At most so many, those with different prompts first; default all. */
  readonly limit?: number | undefined;
  /** Pictures that choose codes, behind all links: they judge none. */
  readonly shown?: ReadonlySet<string>;
}

/** What a file of samples may say beyond what `readSamples` takes. */
const extrasSchema = z.object({
  cases: z.array(
    z.object({
      image: z.string(),
      prompt: z.string(),
      text: z.string(),
      truth: z.string().optional(),
      tokens: z.array(z.int().nonnegative()).min(1).optional(),
      masks: z.array(z.string().min(1)).min(1).optional(),
      min_margin: z.number().optional(),
    }),
  ),
});
type Extras = z.infer<typeof extrasSchema>['cases'][number];

/**
 * Cases of a file: `{"cases": [{"image", "prompt", "text", "truth", "tokens", "min_margin", "masks"}]}`, the last four
 * not needed.
 * @throws BadInputError naming the file and the field, or the mask; UsageError when there is no tokenizer
 */
export async function casesOfFile(
  file: string,
  { metadata, tokenizer, processor, inputs, limit = Infinity, shown = new Set() }: QualityCaseOptions,
): Promise<readonly QualityCase[]> {
  if (!tokenizer)
    throw new UsageError('no_tokenizer', 'prompts are text, and the checkpoint has no tokenizer', {
      file,
      hint: 'give the model’s with --tokenizer',
    });
  const all = await readSamples(file, inputs, shown.size > 0 ? Infinity : limit);
  const judging = new Set(await withoutShown(all, shown));
  const extras = await readExtras(file, inputs, metadata);
  const { mode } = processor;
  const cases: QualityCase[] = [];
  for (const sample of all) {
    const { image, name, prompt, reference: text } = sample;
    // The same picture, prompt and answer may come twice: both lists have them in the file's order.
    const { truth, tokens, masks, min_margin: minMargin } = extras.get(keyOf({ image: name, prompt, text }))!.shift()!;
    if (!judging.has(sample) || cases.length >= limit) continue;
    const files = metadata.maskSize === undefined ? undefined : await trueMaskFiles(sample, masks);
    const loadMasks = files && (() => readTrueMasks(image, files, { mode, inputs }));
    await loadMasks?.(); // what is wrong with one is known before anything is computed
    cases.push({
      name,
      prompt,
      load: () => picturePrompt(image, prompt, { metadata, tokenizer, processor, inputs }),
      recorded: { text, ...(tokens && { tokens }), ...(minMargin !== undefined && { minMargin }) },
      ...(truth !== undefined && { truth }),
      ...(loadMasks && { loadMasks }),
    });
  }
  if (cases.length > 0) return cases;
  throw new UsageError('nothing_judges', 'every picture of the samples chooses codes, and none is left to judge them', {
    file,
    hint: 'give --calibrate other pictures than --samples has',
  });
}

/** The built-in pictures and prompts, for checkpoints without a file: only the reference knows their answers. */
export function builtInCases({
  metadata,
  tokenizer,
  processor,
  limit = Infinity,
}: QualityCaseOptions): readonly QualityCase[] {
  return defaultSamples(metadata, { tokenizer, processor })
    .slice(0, limit)
    .map(({ name, load }) => ({ name, prompt: name, load }));
}

const keyOf = ({ image, prompt, text }: Pick<Extras, 'image' | 'prompt' | 'text'>) =>
  JSON.stringify([image, prompt, text]);

async function readExtras(
  file: string,
  inputs: Inputs,
  { vocabSize }: ProgramMetadata,
): Promise<Map<string, Extras[]>> {
  const refuse = (message: string) =>
    new BadInputError('bad_samples', message, {
      file,
      hint: 'write {"cases": [{"image": "a.png", "prompt": "caption en", "text": "what the original says", "truth": "what is right", "tokens": [5, 7, 1]}]}',
    });
  const parsed = extrasSchema.safeParse(JSON.parse(await inputs.readText(file)));
  if (!parsed.success) throw refuse(`${parsed.error.issues[0]!.path.join('.')}: ${parsed.error.issues[0]!.message}`);
  const { cases } = parsed.data;
  const strange = cases.findIndex(({ tokens = [] }) => tokens.some((token) => token >= vocabSize));
  if (strange >= 0)
    throw refuse(`cases.${strange}.tokens: an id beyond the vocabulary of ${vocabSize}: they are of another model`);
  const byKey = new Map<string, Extras[]>();
  for (const extras of cases) byKey.set(keyOf(extras), [...(byKey.get(keyOf(extras)) ?? []), extras]);
  return byKey;
}
