import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { decodeGif } from '../../../backends/client/images/gif.ts';
import { decodePicture } from '../../../backends/client/images/decode_picture.ts';
import { exifOrientation, withoutOrientation } from '../../../backends/client/images/exif_orientation.ts';
import { processorFrom } from '../../../backends/client/images/processor.ts';
import { readFileHashes } from '../../../backends/client/integrity/file_hashes.ts';
import { openSource } from '../../../backends/client/sources/open_source.ts';
import { onnx } from '../../../backends/onnx/index.ts';
import { parsePlan, PLAN_PATH } from '../../../backends/tfjs/plan.ts';
import { readBundle } from '../../../backends/tfjs/driver/bundle.ts';
import { readManifest as readPlan } from '../../../backends/wgsl/bundle/read_manifest.ts';
import type { ProgramMetadata } from '../../../ir/metadata.ts';
import { checkGraph } from '../../../ir/check.ts';
import { parseGraph } from '../../../ir/parse.ts';
import { readBytes } from '../../../ir/tensor.ts';
import { readJournal } from '../../bundle/journal.ts';
import { parseManifest } from '../../bundle/manifest.ts';
import { openHuggingFace } from '../../checkpoints/huggingface.ts';
import { openNpz } from '../../checkpoints/npz.ts';
import { openSafetensors } from '../../checkpoints/safetensors.ts';
import { JsonReader } from '../../checkpoints/strict_json.ts';
import { Inputs } from '../../inputs/inputs.ts';
import { openAdapter } from '../../models/adapters/index.ts';
import { parseHuggingFaceConfig } from '../../models/paligemma/hugging_face_config.ts';
import { readMixedFile } from '../../precision/bit_allocation/allocation_file.ts';
import { readDescription } from '../../record/description.ts';
import { readBaseline } from '../../report/baseline_file.ts';
import { readSamples } from '../../samples/samples.ts';
import { configFields } from '../../sidecars/config.ts';
import { generationConfigFile } from '../../sidecars/generation_config.ts';
import { preprocessorConfigFile } from '../../sidecars/preprocessor_config.ts';
import { parseSidecar, type Sidecars } from '../../sidecars/sidecar.ts';
import { tokenizerConfigFile } from '../../sidecars/tokenizer_config.ts';
import { tokenizerFile } from '../../sidecars/tokenizer_file.ts';
import { addedBeside, tokenizerSource } from '../../sidecars/tokenizer_source.ts';
import { readSentencePiece } from '../../text/sentencepiece.ts';
import { loadTokenizer } from '../../text/tokenizer.ts';
import { tokenizerJsonOf } from '../../text/tokenizer_json.ts';

/** Something that reads what strangers wrote. */
export interface Reader {
  readonly name: string;
  /** Files to begin with, beside those in `fixtures/fuzz/<name>/`. */
  readonly seeds?: readonly string[];
  /** Makes hashes right that would end the reading at once; `seed` is sound. */
  readonly mend?: (bytes: Uint8Array, seed: Uint8Array) => Uint8Array;
  /** Reads it all, as a command or a client would. @throws typed errors only */
  readonly read: (bytes: Uint8Array, dir: string) => Promise<unknown>;
}

/** A small model, to which sidecars belong. */
const MODEL: ProgramMetadata = {
  family: 'paligemma',
  variant: 'small',
  imageSize: 112,
  imageTokens: 64,
  imageTokenId: 9,
  vocabSize: 9,
  layers: 4,
  kvHeads: 1,
  headDim: 32,
  hiddenSize: 128,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
  maxPositions: 8192,
};

/** A folder for one reader, in memory where the system offers that. */
export function scratchFolder(parent: string): { readonly dir: string; remove(): void } {
  const dir = mkdtempSync(join(parent, 'pgconv-fuzz-'));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** The bytes as a file. */
const put = (dir: string, name: string, bytes: Uint8Array | string): string => {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
};

async function withInputs(work: (inputs: Inputs) => Promise<unknown>): Promise<void> {
  const inputs = new Inputs();
  try {
    await work(inputs);
    await inputs.checkUnchanged();
  } finally {
    await inputs.close();
  }
}

const sidecars = (name: string, bytes: Uint8Array): Sidecars => new Map([[name, { file: name, bytes }]]) as Sidecars;

/** The strict reader's value of a whole file. */
function plain(bytes: Uint8Array): unknown {
  const reader = new JsonReader(bytes, { file: 'x.json', code: 'bad_config', hint: 'take it again' });
  const value = reader.plain();
  reader.end();
  return value;
}

const F32 = (name: string) =>
  Buffer.from(JSON.stringify({ [name]: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }).padEnd(96));
const shard = (name: string) => {
  const header = F32(name);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([prefix, header, Buffer.alloc(4)]);
};

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest();

/** Our manifest, with its own hash over whatever is in it, laid out as it is written. */
function mendManifest(bytes: Uint8Array): Uint8Array {
  try {
    const { sha256: _, ...body } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    return Buffer.from(
      `${JSON.stringify({ ...body, sha256: sha256(JSON.stringify(body)).toString('hex') }, null, 2)}\n`,
    );
  } catch {
    return bytes;
  }
}

/** Where the contents of a plan of shaders begin, and their hash. */
const places = new WeakMap<Uint8Array, { readonly start: number; readonly hash: number }>();

function mendPlan(bytes: Uint8Array, seed: Uint8Array): Uint8Array {
  for (let start = 0; start < seed.length && !places.has(seed); start += 4) {
    const hash = Buffer.from(seed).indexOf(sha256(seed.subarray(start)));
    if (hash >= 0) places.set(seed, { start, hash });
  }
  const { start, hash } = places.get(seed)!;
  if (bytes.length < start) return bytes;
  const mended = bytes.slice();
  mended.set(sha256(mended.subarray(start)), hash);
  return mended;
}

export const READERS: readonly Reader[] = [
  {
    name: 'safetensors',
    async read(bytes, dir) {
      const file = await openSafetensors(put(dir, 'x.safetensors', bytes));
      for (const data of file.tensors.values()) await readBytes(data);
      await file.checkUnchanged();
      await file.close();
    },
  },
  {
    name: 'npz',
    async read(bytes, dir) {
      const file = await openNpz(put(dir, 'x.npz', bytes), { scratchDir: dir });
      try {
        for (const data of file.tensors.values()) await readBytes(data);
        await file.checkUnchanged();
      } finally {
        await file.close();
      }
    },
  },
  {
    name: 'index',
    async read(bytes, dir) {
      for (const [i, name] of ['a', 'b'].entries()) put(dir, `model-0000${i + 1}-of-00002.safetensors`, shard(name));
      put(dir, 'model.safetensors.index.json', bytes);
      await (await openHuggingFace(dir)).close();
    },
  },
  {
    name: 'config',
    seeds: ['fixtures/pg1-tiny/hf/config.json', 'fixtures/pg2-tiny/hf/config.json'],
    async read(bytes) {
      const config = plain(bytes);
      parseHuggingFaceConfig(config, 'config.json');
      configFields(config, MODEL);
    },
  },
  {
    name: 'tokenizer',
    async read(bytes) {
      const source = tokenizerSource(sidecars('tokenizer.json', bytes), undefined)!;
      const { tokens } = tokenizerConfigFile(new Map());
      const { value } = tokenizerFile(source, MODEL, tokens);
      const tokenizer = loadTokenizer(JSON.parse(value.text) as object);
      tokenizer.decode(tokenizer.encode('caption en <bos>a ▁b\n'));
    },
  },
  {
    name: 'sentencepiece',
    seeds: ['fixtures/tokenizer/scripts.model', 'fixtures/tokenizer/unknowns.model'],
    read: async (bytes) => tokenizerJsonOf(readSentencePiece(bytes, 'tokenizer.model')),
  },
  {
    name: 'preprocessor_config',
    seeds: ['fixtures/shapes/hf/preprocessor_config.json'],
    async read(bytes) {
      const { value } = preprocessorConfigFile(sidecars('preprocessor_config.json', bytes), MODEL);
      processorFrom('huggingface', JSON.parse(value.text) as object, 'preprocessor_config.json');
    },
  },
  {
    name: 'processor_config',
    seeds: ['fixtures/processors/transformers5/processor_config.json'],
    read: async (bytes) => preprocessorConfigFile(sidecars('processor_config.json', bytes), MODEL),
  },
  {
    name: 'generation_config',
    seeds: ['fixtures/shapes/hf/generation_config.json'],
    read: async (bytes) => generationConfigFile(sidecars('generation_config.json', bytes), MODEL),
  },
  {
    name: 'tokenizer_config',
    seeds: ['fixtures/shapes/hf/tokenizer_config.json'],
    async read(bytes) {
      tokenizerConfigFile(sidecars('tokenizer_config.json', bytes));
      addedBeside(sidecars('tokenizer_config.json', bytes));
    },
  },
  { name: 'added_tokens', read: async (bytes) => addedBeside(sidecars('added_tokens.json', bytes)) },
  { name: 'sidecar', read: async (bytes) => parseSidecar({ file: 'x.json', bytes }) },
  {
    name: 'adapter_config',
    seeds: ['fixtures/adapters/lora/adapter_config.json'],
    async read(bytes, dir) {
      put(dir, 'adapter_model.safetensors', shard('base_model.model.q_proj.lora_A.weight'));
      put(dir, 'adapter_config.json', bytes);
      const adapter = await openAdapter(dir);
      adapter.config.rankPattern.firstMatch('model.layers.0.self_attn.q_proj'.repeat(20));
      await adapter.close();
    },
  },
  {
    name: 'onnx',
    async read(bytes, dir) {
      const data = join(dir, 'embed_tokens_fp16.onnx_data');
      if (!existsSync(data)) writeFileSync(data, Buffer.alloc(65536));
      await onnx.file!.describe(put(dir, 'x.onnx', bytes));
    },
  },
  {
    name: 'manifest',
    mend: mendManifest,
    read: async (bytes) => parseManifest(bytes, 'manifest.json'),
  },
  {
    name: 'file_hashes',
    mend: mendManifest,
    read: async (bytes) =>
      readFileHashes(openSource(new Map([['manifest.json', new Blob([Buffer.from(bytes)])]]), 'manifest.json')),
  },
  { name: 'wgsl_plan', mend: mendPlan, read: (bytes) => readPlan(bytes) },
  { name: 'tfjs_plan', read: async (bytes) => parsePlan(Buffer.from(bytes).toString()) },
  {
    name: 'tfjs_model',
    async read(bytes) {
      const plan = JSON.stringify(TFJS_PLAN);
      const files = new Map([
        [PLAN_PATH, new Blob([plan])],
        ['part/model.json', new Blob([Buffer.from(bytes)])],
      ]);
      await readBundle(openSource(files, PLAN_PATH));
    },
  },
  {
    name: 'picture',
    seeds: [
      ...['gray_77x50.png', 'rgba_90x60.png', 'decode/rgb.gif', 'decode/rgb.tiff', 'decode/lossy.webp'],
      ...['decode/cmyk.jpg', 'decode/progressive.jpg', 'decode/rgba16.png', 'exif/2.tiff'],
    ].map((path) => `fixtures/preprocess/${path}`),
    read: (bytes) => decodePicture(sharp, bytes, { maxPixels: 1 << 22, mode: 'huggingface' }),
  },
  {
    name: 'gif',
    seeds: ['fixtures/preprocess/decode/rgb.gif'],
    async read(bytes) {
      // a damaged one is an error without a type, which its callers have
      try {
        decodeGif(bytes, 1 << 22);
      } catch (error) {
        if (!(error instanceof RangeError) && (error as Error).constructor !== Error) throw error;
      }
    },
  },
  {
    name: 'exif',
    seeds: ['1.jpg', '2.png', '2.tiff', '3.webp'].map((name) => `fixtures/preprocess/exif/${name}`),
    read: async (bytes) => [exifOrientation(bytes), withoutOrientation(bytes)],
  },
  {
    name: 'samples',
    async read(bytes, dir) {
      put(dir, 'a.png', '');
      await withInputs((inputs) => readSamples(put(dir, 'eval.json', bytes), inputs));
    },
  },
  {
    name: 'recording',
    seeds: ['fixtures/recordings/pg1-tiny-transformers-5.17.0.json'],
    async read(bytes, dir) {
      put(dir, 'r.json', bytes);
      await withInputs((inputs) => readDescription(join(dir, 'r.safetensors'), inputs));
    },
  },
  { name: 'baseline', read: (bytes, dir) => readBaseline(put(dir, 'b.json', bytes)) },
  { name: 'mixed', read: (bytes, dir) => withInputs((inputs) => readMixedFile(put(dir, 'm.json', bytes), inputs)) },
  {
    name: 'journal',
    async read(bytes, dir) {
      put(dir, 'journal', bytes);
      await readJournal(dir);
    },
  },
  {
    name: 'ir',
    async read(bytes) {
      checkGraph(parseGraph(Buffer.from(bytes).toString()));
    },
  },
];

/** A plan with one part, whose graph is read. */
const TFJS_PLAN = {
  version: 1,
  profile: 'std',
  precision: 'fp32',
  model: MODEL,
  graphs: [
    {
      name: 'embed_tokens',
      inputs: [{ name: 'input_ids', dtype: 'int32', shape: ['seq'] }],
      outputs: [{ name: 'inputs_embeds', dtype: 'float32', shape: ['seq', 64] }],
      parts: [{ folder: 'part', inputs: ['gather.f16'], outputs: ['inputs_embeds'] }],
      joins: [],
      caches: [],
      tables: [{ input: 'gather.f16', ids: 'input_ids', rows: 0, columns: 64, runs: [], weights: [] }],
    },
  ],
  files: [{ path: 'part/weights_00.bin', bytes: 4 }],
};
