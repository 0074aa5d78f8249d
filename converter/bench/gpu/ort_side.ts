import { modelPath } from '../../../backends/onnx/bundle_files.ts';
import { onnx } from '../../../backends/onnx/index.ts';
import { fromOrt } from '../../../backends/onnx/ort_tensor.ts';
import { loadRuntime, type InferenceSession, type OrtTensor, type Runtime } from '../../../backends/onnx/runtime.ts';
import { createSession, type Provider } from '../../../backends/onnx/session.ts';
import type { Program, ProgramMetadata } from '../../../ir/graph.ts';
import { writeFiles } from '../write_program.ts';
import type { Side } from './side.ts';

type Sessions = Readonly<Record<'vision_encoder' | 'embed_tokens' | 'decoder', InferenceSession>>;

/**
 * A program for `--target webgpu` in onnxruntime-node, its decoder and tower on `device`. The KV cache stays in GPU
 * buffers. Embeddings are looked up by the CPU provider, which costs microseconds, since a picture's features replace
 * some on the host and a look-up on the GPU would have to be waited for in every step.
 * @throws BackendError with the runtime's message
 */
export async function openOrtSide(
  name: string,
  program: Program,
  precision: string,
  dir: string,
  device: Provider = 'webgpu',
): Promise<Side> {
  const runtime = await loadRuntime();
  await writeFiles(onnx.emit(program, { precision, target: 'webgpu' }).files, dir);
  const path = (graph: string) => modelPath(dir, graph);
  const caches = Object.fromEntries(
    Array.from({ length: program.metadata.layers }, (_, i) =>
      ['key', 'value'].map((kind) => [`present.${i}.${kind}`, 'gpu-buffer'] as const),
    ).flat(),
  );
  const opened: InferenceSession[] = [];
  const open = async (graph: string, on: Provider, options: InferenceSession.SessionOptions = {}) => {
    const session = await createSession(runtime, await path(graph), on, undefined, options);
    opened.push(session);
    return session;
  };
  try {
    const sessions: Sessions = {
      vision_encoder: await open('vision_encoder', device),
      embed_tokens: await open('embed_tokens', 'cpu'),
      decoder: await open('decoder', device, device === 'webgpu' ? { preferredOutputLocation: caches } : {}),
    };
    return new OrtSide(name, runtime, sessions, program.metadata, device);
  } catch (error) {
    for (const session of opened) await session.release();
    throw error;
  }
}

class OrtSide implements Side {
  readonly name: string;
  readonly does: string;
  readonly #runtime: Runtime;
  readonly #sessions: Sessions;
  readonly #facts: ProgramMetadata;
  #features: OrtTensor | undefined;
  #cache: Record<string, OrtTensor> = {};
  #next = 0;
  #length = 0;

  constructor(name: string, runtime: Runtime, sessions: Sessions, facts: ProgramMetadata, device: Provider) {
    this.name = name;
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.#facts = facts;
    this.does = `onnxruntime-node ${runtime.env.versions.node} ${device}, --target webgpu. encode: features to the host. prefill: embeddings by the CPU provider, features put among them on the host, decoder, logits of the last token to the host. decode: a run a token, ${device === 'webgpu' ? 'KV cache in GPU buffers' : 'KV cache on the host'}, logits to the host, which takes the largest`;
  }

  async encode(pixels: Float32Array): Promise<void> {
    const { imageSize } = this.#facts;
    const { vision_encoder: session } = this.#sessions;
    const { image_features: features } = await session.run({
      pixel_values: this.#floats(session, 'pixel_values', pixels, [1, 3, imageSize, imageSize]),
    });
    this.#features = features!;
  }

  async prefill(tokens: readonly number[]): Promise<ArrayLike<number>> {
    this.#forget();
    this.#length = tokens.length;
    const embedded = await this.#embed(tokens);
    const { imageTokens, hiddenSize } = this.#facts;
    const [rows, features] = [embedded.data as Float32Array, this.#features!.data as Float32Array];
    // typed alike: both graphs have the floats of one precision
    rows.set(features.subarray(0, imageTokens * hiddenSize));
    return this.#run(
      embedded,
      Array.from(tokens, (_, i) => i + 1),
    );
  }

  async decode(steps: number): Promise<readonly number[]> {
    const tokens = [this.#next];
    for (let step = 0; step < steps; step++) {
      this.#length++;
      await this.#run(await this.#embed([this.#next]), [this.#length]);
      tokens.push(this.#next);
    }
    return tokens;
  }

  async close(): Promise<void> {
    this.#forget();
    for (const session of Object.values(this.#sessions)) await session.release();
  }

  async #embed(tokens: readonly number[]): Promise<OrtTensor> {
    const { inputs_embeds: rows } = await this.#sessions.embed_tokens.run({
      input_ids: this.#integers(tokens, [1, tokens.length]),
    });
    return rows!;
  }

  /** @returns logits of the last token */
  async #run(embedded: OrtTensor, positions: readonly number[]): Promise<ArrayLike<number>> {
    const { decoder } = this.#sessions;
    const results = await decoder.run({
      inputs_embeds: embedded,
      attention_mask: this.#integers(Array<number>(this.#length).fill(1), [1, this.#length]),
      position_ids: this.#integers(positions, [1, positions.length]),
      num_logits_to_keep: this.#integers([1], []),
      ...this.#pasts(),
    });
    this.#forget();
    for (const [name, tensor] of Object.entries(results))
      if (name.startsWith('present.')) this.#cache[name.replace('present', 'past_key_values')] = tensor;
    const logits = lastRow(results['logits']!, this.#facts.vocabSize);
    this.#next = largestOf(logits);
    return logits;
  }

  /** What the last run left, or caches without a token. */
  #pasts(): Record<string, OrtTensor> {
    if (Object.keys(this.#cache).length > 0) return this.#cache;
    const { kvHeads, headDim } = this.#facts;
    const { decoder } = this.#sessions;
    return Object.fromEntries(
      decoder.inputNames
        .filter((name) => name.startsWith('past_key_values'))
        .map((name) => [name, this.#floats(decoder, name, new Float32Array(0), [1, kvHeads, 0, headDim])]),
    );
  }

  #forget(): void {
    for (const tensor of Object.values(this.#cache)) tensor.dispose();
    this.#cache = {};
  }

  #floats(
    { inputMetadata }: InferenceSession,
    name: string,
    values: Float32Array,
    shape: readonly number[],
  ): OrtTensor {
    const port = inputMetadata.find((input) => input.name === name)!;
    if (!port.isTensor || port.type === 'float32') return new this.#runtime.Tensor('float32', values, shape);
    if (values.length > 0) throw new Error(`${name} is ${port.type}`);
    return new this.#runtime.Tensor('float16', new Uint16Array(0), shape);
  }

  #integers(values: readonly number[], shape: readonly number[]): OrtTensor {
    return new this.#runtime.Tensor('int64', BigInt64Array.from(values, BigInt), shape);
  }
}

/** Logits of the last token, without those of no token that may be behind them. */
function lastRow(logits: OrtTensor, vocabSize: number): ArrayLike<number> {
  const data = logits.type === 'float32' ? (logits.data as Float32Array) : fromOrt(logits).data;
  const first = data.length - logits.dims.at(-1)!;
  return data.subarray(first, first + vocabSize);
}

/** The first of the largest. */
function largestOf(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}
