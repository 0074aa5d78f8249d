import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { TensorData } from '../../ir/tensor.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { createFile, makeFolders, removePath, renamePath } from '../disk.js';
import { OutputError, PgconvError, UsageError } from '../errors.ts';
import { bigVisionArrays } from '../models/paligemma/big_vision.ts';
import { imageTokens, VARIANTS, type PaliGemmaConfig } from '../models/paligemma/config.ts';
import { hubName } from '../models/paligemma/hugging_face.ts';
import { canonicalShapes } from '../models/paligemma/weights.ts';
import { writeNpz } from './npz_writer.ts';
import { randomTensor, type Distribution } from './random_tensor.ts';

export interface SynthOptions {
  /** A name of VARIANTS. */
  readonly variant: string;
  readonly format: 'hf' | 'npz';
  readonly dtype: 'f32' | 'f16' | 'bf16';
  /** Folder to make: it must not exist. */
  readonly out: string;
  /** Decoder layers to keep; default all. */
  readonly layers?: number;
  /** Image tower layers to keep; default all. */
  readonly visionLayers?: number;
  readonly seed?: number;
  /** Hears of written and total bytes. */
  readonly onProgress?: (written: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface SynthResult {
  readonly path: string;
  readonly tensors: number;
  readonly bytes: number;
}

interface Entry {
  readonly name: string;
  readonly data: TensorData;
}

/** Bytes of one shard at most: what the Hub's shards have. */
const SHARD_BYTES = 5_000_000_000;

/**
 * A checkpoint of the exact shapes of a published model with seeded values, written as a stream: so that sizes can be
 * tested without the gated weights. @throws UsageError for an unknown variant, OutputError when it cannot be written.
 */
export async function synthesize(options: SynthOptions): Promise<SynthResult> {
  return writeSynthetic(configOf(options), options);
}

/** The same for any sizes. */
export async function writeSynthetic(
  config: PaliGemmaConfig,
  options: Omit<SynthOptions, 'layers' | 'visionLayers'>,
): Promise<SynthResult> {
  const out = resolve(options.out);
  if (await stat(out).catch(() => undefined))
    throw new OutputError('output_exists', `${out} exists`, { file: out, hint: 'choose another --out, or remove it' });
  const entries = syntheticTensors(config, options);
  const bytes = entries.reduce((sum, { data }) => sum + data.byteLength, 0);
  let written = 0;
  const onBytes = (count: number) => {
    options.signal?.throwIfAborted();
    options.onProgress?.((written += count), bytes);
  };
  const staging = join(dirname(out), `.${basename(out)}.synth-${process.pid}`);
  try {
    await makeFolders(staging);
    if (options.format === 'npz')
      await writeNpz(join(staging, `${options.variant}.${options.dtype}.npz`), entries, onBytes);
    else await writeHuggingFace(staging, entries, config, options.dtype, bytes, onBytes);
    await renamePath(staging, out);
  } catch (error) {
    await removePath(staging);
    if (error instanceof PgconvError || options.signal?.aborted) throw error;
    throw new OutputError(
      'cannot_write',
      error instanceof Error ? error.message : String(error),
      { file: out, hint: 'check the free space and the permissions of the folder' },
      { cause: error },
    );
  }
  return { path: out, tensors: entries.length, bytes };
}

/** The tensors of such a checkpoint by the names that its format has; values are made when they are read. */
export function syntheticTensors(
  config: PaliGemmaConfig,
  options: Pick<SynthOptions, 'format' | 'dtype' | 'seed'>,
): Entry[] {
  return options.format === 'npz' ? bigVisionEntries(config, options) : huggingFaceEntries(config, options);
}

function configOf({ variant, layers, visionLayers }: SynthOptions): PaliGemmaConfig {
  const config = Object.hasOwn(VARIANTS, variant) ? VARIANTS[variant] : undefined;
  if (!config)
    throw new UsageError('unknown_variant', `there is no variant "${variant}"`, {
      hint: `choose one of ${Object.keys(VARIANTS).join(', ')}`,
    });
  for (const [flag, asked, most] of [
    ['--layers', layers, config.text.layers],
    ['--vision-layers', visionLayers, config.vision.layers],
  ] as const)
    if (asked !== undefined && !(Number.isInteger(asked) && asked >= 1 && asked <= most))
      throw new UsageError('bad_layers', `${flag} ${asked}: ${variant} has ${most}`, {
        hint: `give ${flag} a number from 1 to ${most}`,
      });
  return {
    ...config,
    text: {
      ...config.text,
      layers: layers ?? config.text.layers,
      slidingLayers: config.text.slidingLayers.filter((i) => i < (layers ?? config.text.layers)),
    },
    vision: { ...config.vision, layers: visionLayers ?? config.vision.layers },
  };
}

/** Spreads that keep activations in the range of a trained model: LayerNorm scales near 1, Gemma's offsets near 0. */
export function distributionOf(canonical: string): Distribution {
  if (/^vit\..*ln\w*\.w$/.test(canonical)) return { mean: 1, std: 0.1 };
  return { mean: 0, std: /norm/.test(canonical) ? 0.1 : 0.02 };
}

function bigVisionEntries(config: PaliGemmaConfig, { dtype, seed = 0 }: Pick<SynthOptions, 'dtype' | 'seed'>): Entry[] {
  return bigVisionArrays(config).map(({ key, shape, parts }, i) => ({
    name: `params/${key}`,
    data: randomTensor(dtype, shape, distributionOf(Object.keys(parts)[0]!), seed + i),
  }));
}

function huggingFaceEntries(
  config: PaliGemmaConfig,
  { dtype, seed = 0 }: Pick<SynthOptions, 'dtype' | 'seed'>,
): Entry[] {
  return [...canonicalShapes(config, config.tableRows)].map(([canonical, shape], i) => ({
    name: hubName(canonical, config.text),
    data: randomTensor(dtype, shape, distributionOf(canonical), seed + i),
  }));
}

async function writeHuggingFace(
  dir: string,
  entries: readonly Entry[],
  config: PaliGemmaConfig,
  dtype: SynthOptions['dtype'],
  total: number,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const shards: Entry[][] = [[]];
  let room = SHARD_BYTES;
  for (const entry of entries) {
    if (entry.data.byteLength > room && shards.at(-1)!.length > 0) {
      shards.push([]);
      room = SHARD_BYTES;
    }
    shards.at(-1)!.push(entry);
    room -= entry.data.byteLength;
  }
  const pad = (n: number) => String(n).padStart(5, '0');
  const weightMap: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const name = shards.length === 1 ? 'model.safetensors' : `model-${pad(i + 1)}-of-${pad(shards.length)}.safetensors`;
    for (const entry of shard) weightMap[entry.name] = name;
    await writeSafetensors(
      join(dir, name),
      shard.map((entry) => ({ ...entry, data: counted(entry.data, onBytes) })),
      { format: 'pt' },
    );
  }
  const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;
  if (shards.length > 1)
    await createFile(
      join(dir, 'model.safetensors.index.json'),
      json({ metadata: { total_size: total }, weight_map: weightMap }),
    );
  await createFile(join(dir, 'config.json'), json(huggingFaceConfig(config, dtype)));
}

function counted(data: TensorData, onBytes: (bytes: number) => void): TensorData {
  return {
    ...data,
    async *chunks(options) {
      for await (const chunk of data.chunks(options)) {
        onBytes(chunk.byteLength);
        yield chunk;
      }
    },
  };
}

/** The fields that configs on the Hub have (spec D.2), no more. */
function huggingFaceConfig(
  { vision, text, vocabSize, tableRows, imageTokenId, ...ids }: PaliGemmaConfig,
  dtype: SynthOptions['dtype'],
) {
  return {
    architectures: ['PaliGemmaForConditionalGeneration'],
    model_type: 'paligemma',
    bos_token_id: ids.bosTokenId,
    eos_token_id: ids.eosTokenId,
    pad_token_id: ids.padTokenId,
    image_token_index: imageTokenId,
    hidden_size: text.width,
    projection_dim: text.width,
    vocab_size: vocabSize,
    torch_dtype: { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }[dtype],
    text_config: {
      model_type: text.postNorms ? 'gemma2' : 'gemma',
      hidden_size: text.width,
      intermediate_size: text.mlpWidth,
      num_attention_heads: text.heads,
      num_hidden_layers: text.layers,
      num_image_tokens: imageTokens(vision),
      num_key_value_heads: text.kvHeads,
      ...(text.headDim !== 256 && { head_dim: text.headDim }),
      ...(text.postNorms && {
        query_pre_attn_scalar: Math.round(text.queryScale ** -2),
        attn_logit_softcapping: text.attentionSoftcap,
        final_logit_softcapping: text.finalSoftcap,
        sliding_window: text.slidingWindow,
      }),
      vocab_size: tableRows,
    },
    vision_config: {
      model_type: 'siglip_vision_model',
      hidden_size: vision.width,
      image_size: vision.imageSize,
      intermediate_size: vision.mlpWidth,
      num_attention_heads: vision.heads,
      num_hidden_layers: vision.layers,
      patch_size: vision.patchSize,
      projection_dim: text.width,
      vision_use_head: false,
    },
  };
}
