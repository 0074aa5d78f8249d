import { parse, join } from 'node:path';
import { z } from 'zod';
import { BadInputError } from '../errors.ts';
import type { Inputs } from '../inputs/inputs.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'not a sha256 in lower-case hexadecimal digits');
const count = z.int().nonnegative();
const file = z.object({
  path: z.string().describe('relative to its folder'),
  bytes: count,
  sha256,
});

/** What lies beside the tensors of a recording: docs/recording.md. Fields that are not known here are left alone. */
export const recordingSchema = z.object({
  format: z.literal('pgconv-recording'),
  version: z.literal(1),
  recorder: z.object({ name: z.string(), version: z.string() }).describe('what wrote the recording'),
  tensors: z
    .object({ file: z.string(), bytes: count, sha256 })
    .describe('the .safetensors beside this file: one that was cut short or belongs to another run is told by it'),
  engine: z.string().describe('whose implementation was run: transformers, big_vision, ...'),
  versions: z.record(z.string(), z.string()).describe('of everything that computed'),
  checkpoint: z.object({
    path: z.string().describe('as it was given'),
    files: z.array(file).min(1).describe('weights, their index, and config.json where there is one'),
  }),
  adapters: z
    .array(z.object({ path: z.string(), scale: z.number(), files: z.array(file).min(1) }))
    .describe('PEFT adapters in the order in which they were put on'),
  arithmetic: z.object({
    dtype: z.string().describe('of products and sums: float32 or float64'),
    attention: z.string().describe('eager: every other implementation drops a part of some model'),
    tf32: z.boolean().describe('whether products may be rounded to TF32'),
    matmul_precision: z.string().describe('highest: every other rounds the factors of products'),
    deterministic: z.boolean(),
    cache: z.boolean().describe('whether logits came through a KV cache'),
  }),
  image_token_id: count.describe('the id that stands for image tokens in input_ids'),
  stages: z.boolean().describe('whether tensors N/stages/… are there'),
  repeated: z.boolean().describe('whether the first case was run twice and gave the same bits'),
  cases: z
    .array(
      z.object({
        name: z.string().min(1),
        images: z.array(z.string()).describe('names of the pictures; none where pixels were given'),
        prompt: z.string().nullable(),
        answer: z.string().nullable().describe('what was read behind the prompt; null for the greedy answer'),
        input_ids: z.array(count).min(1),
        token_type_ids: z.array(z.union([z.literal(0), z.literal(1)])).describe('0: prompt, seen both ways; 1: answer'),
        greedy_ids: z.array(count),
        pixels_sha256: sha256.describe('of N/pixel_values as little-endian f32'),
      }),
    )
    .min(1)
    .max(4096),
});

/** The JSON of a recording. */
export type RecordingDescription = z.infer<typeof recordingSchema>;

const AGAIN = 'record again with the script that `pgconv record` writes, and keep its two files together';

/**
 * Reads the JSON beside a recording's tensors.
 * @throws BadInputError `recording_invalid` when it is not there or does not fit, `recording_arithmetic` when what was
 * recorded is not what the model computes in f32
 */
export async function readDescription(tensors: string, inputs: Inputs): Promise<RecordingDescription> {
  const { dir, name } = parse(tensors);
  const path = join(dir, `${name}.json`);
  const invalid = (message: string, cause?: unknown) =>
    new BadInputError('recording_invalid', message, { file: path, hint: AGAIN }, { cause });
  let json: unknown;
  try {
    json = JSON.parse(await inputs.readText(path));
  } catch (cause) {
    if (cause instanceof BadInputError) throw cause;
    throw invalid(`cannot read what says how ${parse(tensors).base} was recorded: ${(cause as Error).message}`, cause);
  }
  const parsed = recordingSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`${issue!.path.join('.') || 'the file'}: ${issue!.message}`);
  }
  refuseArithmetic(parsed.data, path);
  return parsed.data;
}

/** @throws BadInputError naming the first flag by which the original computed something else than its weights say */
function refuseArithmetic({ arithmetic, repeated }: RecordingDescription, file: string): void {
  const { dtype, attention, tf32, matmul_precision: precision, deterministic, cache } = arithmetic;
  const wrong = [
    [!['float32', 'float64'].includes(dtype), `dtype ${dtype}: its arithmetic rounds far more than f32`],
    [tf32, 'tf32: factors of products were rounded to 10 bits'],
    [precision !== 'highest', `matmul_precision ${precision}: factors of products were rounded`],
    [attention !== 'eager', `attention ${attention}: sdpa drops Gemma 2’s softcap, flash attention is causal`],
    [cache, 'cache: keys and values may have been rounded on the way'],
    [!deterministic, 'deterministic is false: another run may say something else'],
    [!repeated, 'repeated is false: nobody knows whether another run says the same'],
  ] as const;
  const found = wrong.find(([is]) => is);
  if (found)
    throw new BadInputError('recording_arithmetic', `recorded with ${found[1]}`, {
      file,
      hint: 'record again in float32 with eager attention, without TF32, as the script of `pgconv record` does',
    });
}
