import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PUBLISHED_IMAGE_TOKEN } from '../models/paligemma/vocabulary.ts';
import { pgconv, sizeOf } from './child.ts';

/** A precision, and what it may cost beside fp16 (docs/precision-targets.md): the ratio of wall times. */
interface Way {
  readonly name: string;
  readonly args: readonly string[];
  readonly maxRatio: number;
}

const FP16: Way = { name: 'fp16', args: ['--dtype', 'fp16'], maxRatio: 1 };
export const WITHOUT_DATA: readonly Way[] = [
  FP16,
  { name: 'int4 rtn', args: ['--dtype', 'int4', '--algorithm', 'rtn'], maxRatio: 1.3 },
  { name: 'int4 search', args: ['--dtype', 'int4'], maxRatio: 3 },
  { name: 'int8', args: ['--dtype', 'int8'], maxRatio: 3 },
];

/** Prompts that choose codes with data. */
const PROMPTS = 16;

/** fp16, and int4 that GPTQ chooses on pictures and prompts of fixtures/segments, which it puts below `dir`. */
export async function withData(dir: string): Promise<readonly Way[]> {
  const [folder, tokenizer] = [join(dir, 'prompts'), join(dir, 'tokenizer.json')];
  await mkdir(folder, { recursive: true });
  const { cases } = JSON.parse(await readFile('fixtures/segments/eval.json', 'utf8')) as {
    cases: readonly { readonly image: string; readonly prompt: string }[];
  };
  const shown = cases.slice(0, PROMPTS).map(({ image, prompt }) => ({ image: basename(image), prompt }));
  for (const { image } of shown) await copyFile(join('fixtures/segments/images', image), join(folder, image));
  await writeFile(join(folder, 'cases.json'), JSON.stringify({ cases: shown }));
  // a synthetic checkpoint has no tokenizer, and whose ids a prompt has does not matter to time
  const small = JSON.parse(await readFile('fixtures/segments/hf/tokenizer.json', 'utf8')) as {
    added_tokens: { id: number; readonly content: string }[];
  };
  for (const token of small.added_tokens) if (token.content === '<image>') token.id = PUBLISHED_IMAGE_TOKEN;
  await writeFile(tokenizer, JSON.stringify(small));
  const args = ['--dtype', 'int4', '--calibrate', folder, '--tokenizer', tokenizer];
  return [FP16, { name: `int4, ${PROMPTS} prompts`, args, maxRatio: 6 }];
}

export interface QuantizationMeasurement {
  readonly way: string;
  readonly seconds: number;
  /** Wall time ÷ that of the fp16 conversion of the same round. */
  readonly ratio: number;
  readonly maxRatio: number;
  readonly outputBytes: number;
  readonly peakBytes: number;
}

/**
 * Converts one synthetic bf16 checkpoint in each way, by turns, `runs` times: ratios hold when the machine's speed
 * drifts.
 */
export async function measureQuantization(
  dir: string,
  variant: string,
  runs: number,
  layers: number | undefined,
  ways: readonly Way[],
  log: (line: string) => void,
): Promise<QuantizationMeasurement[]> {
  const [input, output] = [join(dir, 'quantize-checkpoint'), join(dir, 'quantize-bundle')];
  await rm(input, { recursive: true, force: true });
  await pgconv([
    'synth',
    '--variant',
    variant,
    '--format',
    'hf',
    '--dtype',
    'bf16',
    '--out',
    input,
    ...(layers === undefined ? [] : ['--layers', String(layers)]),
  ]);
  const measured: QuantizationMeasurement[] = [];
  try {
    for (let run = 0; run < runs; run++) {
      let plain = Number.NaN;
      for (const { name: way, args, maxRatio } of ways) {
        await rm(output, { recursive: true, force: true });
        const { seconds, peakBytes } = await pgconv([
          'convert',
          input,
          '--to',
          'onnx',
          ...args,
          '--out',
          output,
          '--no-verify',
        ]);
        if (way === FP16.name) plain = seconds;
        const measurement = {
          way,
          seconds,
          ratio: seconds / plain,
          maxRatio,
          outputBytes: await sizeOf(output),
          peakBytes,
        };
        measured.push(measurement);
        log(
          `${way}, run ${run + 1} of ${runs}: ${seconds.toFixed(1)} s, ${measurement.ratio.toFixed(2)} of fp16, peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
        );
      }
    }
  } finally {
    for (const path of [input, output]) await rm(path, { recursive: true, force: true });
  }
  return measured;
}
