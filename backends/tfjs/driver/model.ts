import { RuntimeError } from '../../client/errors.ts';
import type { PixelMode } from '../../client/images/pixels.ts';
import { pixelValues, type PictureSource } from '../../client/images/picture.ts';
import type { ModelFacts } from '../../client/model_facts.ts';
import { imageRuns, padLeft, type PaddedRows } from '../../client/text/prompt.ts';
import { processorOf } from '../../client/text/processor.ts';
import { openText, TextPieces, type Text } from '../../client/text/text.ts';
import type { GraphPlan } from '../plan.ts';
import type { Engine } from './engine.ts';
import { isGreedy, randomNumbers, sampleToken, type SamplingOptions } from './sample.ts';
import type { Tensor, Tfjs } from './tfjs.ts';

/** Features of a picture: f32 [imageTokens, hiddenSize] in tfjs. They may be read by any number of prompts. */
export class ImageFeatures {
  readonly tensor: Tensor;

  constructor(tensor: Tensor) {
    this.tensor = tensor;
  }

  /** Gives their memory back. */
  dispose(): void {
    this.tensor.dispose();
  }
}

export interface PrefillInput {
  /** Token ids of each row, image tokens included; shorter rows are padded on the left. */
  readonly rows: readonly (readonly number[])[];
  /** Features of the pictures, in the order of their image tokens. */
  readonly images?: readonly ImageFeatures[];
  /** Tokens that will be decoded at most: room in the KV cache. Default 256, or what the model's positions leave. */
  readonly maxNewTokens?: number;
}

export interface DecodeOptions extends SamplingOptions {
  /** Default what prefill made room for. */
  readonly maxTokens?: number;
  /** Ids that end a row; default the model's own. */
  readonly stopTokenIds?: readonly number[];
  readonly signal?: AbortSignal;
}

export interface GenerateOptions extends Omit<DecodeOptions, 'maxTokens'> {
  /** The picture, or pictures in the order of the prompt; features that were encoded before are as good. */
  readonly image?: PictureSource | ImageFeatures | readonly (PictureSource | ImageFeatures)[];
  /** What to say of it: `caption en`. */
  readonly prompt: string;
  /** Default 100. */
  readonly maxNewTokens?: number;
}

const DEFAULT_ROOM = 256;
const DEFAULT_NEW_TOKENS = 100;
/**
 * Capacities of caches are multiples of it: prompts of similar length then use tensors of one size, and shaders and
 * buffers of one.
 */
const CAPACITY_STEP = 64;

/** What a prompt has left in the caches. */
interface Read {
  readonly padded: PaddedRows;
  readonly room: number;
  readonly capacity: number;
  readonly caches: Record<string, Tensor>;
  /** Outputs of the last position, by name. */
  head: Record<string, Tensor>;
}

/** A model that was loaded into tfjs. One call at a time. */
export class Model {
  /** Sizes and ids. */
  readonly facts: ModelFacts;
  readonly #engine: Engine;
  readonly #tf: Tfjs;
  #read: Read | undefined;
  #busy = false;
  #text: Promise<Text> | undefined;
  #mode: Promise<PixelMode> | undefined;

  /** Made by `load`. */
  constructor(engine: Engine) {
    this.#engine = engine;
    this.#tf = engine.tf;
    this.facts = engine.bundle.plan.model;
  }

  /** Of the bundle: `std` or `packed`. */
  get profile(): string {
    return this.#engine.bundle.plan.profile;
  }

  /** A picture through the image tower: its features stay until they are disposed. @throws RuntimeError */
  async encodeImage(picture: PictureSource): Promise<ImageFeatures> {
    return this.encodePixels(await pixelValues(picture, this.facts.imageSize, await this.#processor()));
  }

  /** The same of pixels f32 [3, imageSize, imageSize] in [-1, 1]. @throws RuntimeError */
  async encodePixels(pixels: Float32Array): Promise<ImageFeatures> {
    const { imageSize, imageTokens, hiddenSize } = this.facts;
    return this.#alone(async () => {
      const input = this.#tf.tensor(pixels, [1, 3, imageSize, imageSize], 'float32');
      try {
        const { image_features: features } = await this.#run('vision_encoder', { pixel_values: input }, [
          'image_features',
        ]);
        const flat = this.#tf.reshape(features!, [imageTokens, hiddenSize]);
        features!.dispose();
        return new ImageFeatures(flat);
      } finally {
        input.dispose();
      }
    });
  }

  /** Ids of a prompt of `images` pictures: image tokens, `<bos>`, the text, a newline. @throws RuntimeError */
  async promptIds(prompt: string, images = 1): Promise<number[]> {
    return (await this.#tokenizer()).promptIds(prompt, images);
  }

  /** Text of ids, without special tokens. @throws RuntimeError */
  async decodeText(ids: readonly number[]): Promise<string> {
    return (await this.#tokenizer()).decode(ids);
  }

  /**
   * Reads rows of ids, which replace what was read before.
   * @throws RuntimeError `bad_input` when they do not fit the model
   */
  async prefill({ rows, images = [], maxNewTokens }: PrefillInput): Promise<void> {
    const { facts } = this;
    const padded = padLeft(rows, facts.padTokenId);
    const highest = Math.max(facts.vocabSize - 1, facts.imageTokenId);
    const wrong = rows.flat().find((id) => !Number.isInteger(id) || id < 0 || id > highest);
    if (wrong !== undefined) throw new RuntimeError('bad_input', `a token ${wrong}`, `ids are 0 to ${highest}`);
    // the last token needs no position: nothing reads it
    const left = facts.maxPositions - padded.length + 1;
    if (left < 1)
      throw new RuntimeError('bad_input', `${padded.length} tokens`, `the model has ${facts.maxPositions} positions`);
    const tokens = imageRuns(padded, facts).reduce((sum, run) => sum + run.count, 0);
    if (tokens !== images.length * facts.imageTokens)
      throw new RuntimeError(
        'bad_input',
        `${tokens} image tokens for ${images.length} pictures of ${facts.imageTokens}`,
        'put the image tokens of every picture before its prompt',
      );
    const room = Math.min(maxNewTokens ?? DEFAULT_ROOM, left);
    await this.#alone(async () => {
      this.#forget();
      const capacity = Math.ceil((padded.length + room) / CAPACITY_STEP) * CAPACITY_STEP;
      const embedded = await this.#embed(padded.inputIds, padded.rows, padded.length);
      const embeds = this.#withImages(embedded, padded, images);
      const caches = Object.fromEntries(
        this.#decoder().caches.map(({ past }) => [past, this.#emptyCache(past, padded.rows, capacity)]),
      );
      const read: Read = { padded, room, capacity, caches, head: {} };
      this.#read = read;
      await this.#forward(read, embeds, {
        past: 0,
        positions: padded.positionIds,
        length: padded.length,
        mask: padded.attentionMask,
      });
    });
  }

  /**
   * f32 [rows, vocabulary], row after row: of the last position read.
   * @throws RuntimeError `bad_input` before prefill
   */
  async logits(): Promise<{ readonly shape: readonly [number, number]; readonly data: Float32Array }> {
    return this.#alone(async () => {
      const read = this.#given();
      const data = await this.#logitsOf(read);
      return { shape: [read.padded.rows, data.length / read.padded.rows], data };
    });
  }

  /**
   * Tokens after what prefill read, step by step: one of every row, undefined for rows that have ended. Ends when all
   * have, or after `maxTokens`. Greedy tokens are found in tfjs: a few bytes a token come back. Call prefill again
   * before decoding again.
   * @throws RuntimeError; the signal's reason
   */
  async *decode({ maxTokens, stopTokenIds, signal, seed = 0, ...sampling }: DecodeOptions = {}): AsyncGenerator<
    readonly (number | undefined)[]
  > {
    const read = this.#given();
    if (this.#busy) throw busy();
    this.#busy = true;
    const stops = stopTokenIds ?? [this.facts.eosTokenId];
    const random = randomNumbers(seed);
    const { rows, length, positionIds, attentionMask } = read.padded;
    const ended = Array<boolean>(rows).fill(false);
    const steps = Math.min(maxTokens ?? read.room, read.room);
    try {
      for (let step = 0; step < steps && !ended.every(Boolean); step++) {
        signal?.throwIfAborted();
        const tokens = isGreedy(sampling) ? await this.#best(read) : await this.#sampled(read, sampling, random);
        const given = tokens.map((token, row) => (ended[row] ? undefined : token));
        yield given;
        given.forEach((token, row) => (ended[row] ||= token !== undefined && stops.includes(token)));
        if (step + 1 >= steps || ended.every(Boolean)) return;
        signal?.throwIfAborted();
        const past = length + step;
        const mask = new Int32Array(rows * (past + 1)).fill(1);
        for (let row = 0; row < rows; row++)
          mask.set(attentionMask.subarray(row * length, (row + 1) * length), row * (past + 1));
        const positions = Int32Array.from(
          { length: rows },
          (_, row) => positionIds[(row + 1) * length - 1]! + step + 1,
        );
        const embeds = await this.#embed(Int32Array.from(tokens), rows, 1);
        await this.#forward(read, embeds, { past, positions, length: 1, mask });
      }
    } finally {
      this.#forget();
      this.#busy = false;
    }
  }

  /** The answer to a picture and a prompt, as pieces of text. @throws RuntimeError; the signal's reason */
  async *generate({
    image = [],
    prompt,
    maxNewTokens = DEFAULT_NEW_TOKENS,
    ...options
  }: GenerateOptions): AsyncGenerator<string> {
    const text = await this.#tokenizer();
    const given = isList(image) ? image : [image];
    const own: ImageFeatures[] = [];
    try {
      const images: ImageFeatures[] = [];
      for (const picture of given) {
        options.signal?.throwIfAborted();
        const features = picture instanceof ImageFeatures ? picture : await this.encodeImage(picture);
        if (features !== picture) own.push(features);
        images.push(features);
      }
      await this.prefill({ rows: [text.promptIds(prompt, images.length)], images, maxNewTokens });
      const pieces = new TextPieces(text.decode);
      for await (const [token] of this.decode({ ...options, maxTokens: maxNewTokens })) {
        const piece = pieces.add(token!);
        if (piece !== '') yield piece;
      }
      const rest = pieces.end();
      if (rest !== '') yield rest;
    } finally {
      for (const features of own) features.dispose();
    }
  }

  /** Gives back every tensor that the model has made; features of pictures are their owner's. */
  dispose(): void {
    this.#forget();
    this.#engine.dispose();
  }

  #decoder(): GraphPlan {
    return this.#engine.graph('decoder')!.plan;
  }

  #given(): Read {
    if (!this.#read) throw new RuntimeError('bad_input', 'there is nothing to go on from', 'call prefill first');
    return this.#read;
  }

  #forget(): void {
    if (!this.#read) return;
    for (const tensor of [...Object.values(this.#read.caches), ...Object.values(this.#read.head)]) tensor.dispose();
    this.#read = undefined;
  }

  #run(graph: string, inputs: Record<string, Tensor>, wanted: readonly string[]): Promise<Record<string, Tensor>> {
    return this.#engine.run(this.#engine.graph(graph)!, inputs, wanted);
  }

  /** f32 [rows, length, hiddenSize]: rows of a table that the host has, or a lookup in tfjs. */
  async #embed(ids: Int32Array, rows: number, length: number): Promise<Tensor> {
    const { tables } = this.#engine.graph('embed_tokens')!.plan;
    const [table] = tables;
    const input = table
      ? this.#tf.tensor(await this.#engine.rows(table, ids), [rows, length, table.columns], 'float32')
      : this.#tf.tensor(ids, [rows, length], 'int32');
    try {
      return (await this.#run('embed_tokens', { [table?.input ?? 'input_ids']: input }, ['inputs_embeds']))[
        'inputs_embeds'
      ]!;
    } finally {
      input.dispose();
    }
  }

  /** Embeddings with features of pictures in the place of image tokens. Disposes the embeddings. */
  #withImages(embedded: Tensor, padded: PaddedRows, images: readonly ImageFeatures[]): Tensor {
    if (images.length === 0) return embedded;
    const { imageTokens, hiddenSize } = this.facts;
    const tf = this.#tf;
    const result = tf.tidy(() => {
      const flat = tf.reshape(embedded, [padded.rows * padded.length, hiddenSize]);
      const pieces: Tensor[] = [];
      let [at, feature] = [0, 0];
      for (const { start, count } of imageRuns(padded, this.facts)) {
        if (start > at) pieces.push(tf.slice(flat, [at, 0], [start - at, hiddenSize]));
        for (let done = 0; done < count;) {
          const row = feature % imageTokens;
          const taken = Math.min(count - done, imageTokens - row);
          pieces.push(tf.slice(images[Math.floor(feature / imageTokens)]!.tensor, [row, 0], [taken, hiddenSize]));
          done += taken;
          feature += taken;
        }
        at = start + count;
      }
      if (at < padded.rows * padded.length)
        pieces.push(tf.slice(flat, [at, 0], [padded.rows * padded.length - at, hiddenSize]));
      return tf.reshape(tf.concat(pieces, 0), [padded.rows, padded.length, hiddenSize]);
    });
    embedded.dispose();
    return result;
  }

  #emptyCache(name: string, rows: number, capacity: number): Tensor {
    const { shape } = this.#decoder().inputs.find((input) => input.name === name)!;
    return this.#tf.zeros(
      shape.map((size) => (typeof size === 'number' ? size : size === 'capacity' ? capacity : rows)),
      'float32',
    );
  }

  /**
   * New positions through the decoder: caches and what the last position says are replaced. Disposes the embeddings.
   */
  async #forward(
    read: Read,
    embeds: Tensor,
    {
      past,
      positions,
      length,
      mask,
    }: { readonly past: number; readonly positions: Int32Array; readonly length: number; readonly mask: Int32Array },
  ): Promise<void> {
    const { rows } = read.padded;
    const { caches, joins } = this.#decoder();
    const full = new Int32Array(rows * read.capacity);
    for (let row = 0; row < rows; row++)
      full.set(mask.subarray(row * (past + length), (row + 1) * (past + length)), row * read.capacity);
    const tf = this.#tf;
    const own: Record<string, Tensor> = {
      inputs_embeds: embeds,
      attention_mask: tf.tensor(full, [rows, read.capacity], 'int32'),
      position_ids: tf.tensor(positions, [rows, length], 'int32'),
      num_logits_to_keep: tf.scalar(1, 'int32'),
      past: tf.scalar(past, 'int32'),
    };
    try {
      const heads = joins.flatMap(({ output, pieces }) =>
        output === 'logits' ? pieces.flatMap((piece) => [piece, `${piece}.best`, `${piece}.max`]) : [],
      );
      const results = await this.#run('decoder', { ...own, ...read.caches }, [
        ...heads,
        ...caches.map(({ present }) => present),
      ]);
      for (const { past: name, present } of caches) {
        read.caches[name]!.dispose();
        read.caches[name] = results[present]!;
      }
      for (const tensor of Object.values(read.head)) tensor.dispose();
      read.head = Object.fromEntries(heads.map((name) => [name, results[name]!]));
    } catch (error) {
      this.#forget();
      throw error;
    } finally {
      for (const tensor of Object.values(own)) tensor.dispose();
    }
  }

  #join() {
    return this.#decoder().joins.find(({ output }) => output === 'logits')!;
  }

  /**
   * The largest logit of each row: of the shards' largest, whose few bytes come to the host; the earliest of equal
   * ones.
   */
  async #best({ head, padded }: Read): Promise<readonly number[]> {
    const { pieces, rows: sizes } = this.#join();
    const read = (suffix: string) => Promise.all(pieces.map((piece) => head[`${piece}.${suffix}`]!.data<'float32'>()));
    const [indices, values] = await Promise.all([read('best'), read('max')]);
    return Array.from({ length: padded.rows }, (_, row) => {
      let [token, most, first] = [0, -Infinity, 0];
      for (const [piece, size] of sizes.entries()) {
        if (values[piece]![row]! > most) [token, most] = [first + indices[piece]![row]!, values[piece]![row]!];
        first += size;
      }
      return token;
    });
  }

  async #logitsOf({ head, padded }: Read): Promise<Float32Array> {
    const { pieces, rows: sizes } = this.#join();
    const parts = await Promise.all(pieces.map((piece) => head[piece]!.data<'float32'>()));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const out = new Float32Array(padded.rows * total);
    for (let row = 0, at = 0; row < padded.rows; row++)
      for (const [piece, size] of sizes.entries()) {
        out.set(parts[piece]!.subarray(row * size, (row + 1) * size), at);
        at += size;
      }
    return out;
  }

  async #sampled(read: Read, options: SamplingOptions, random: () => number): Promise<readonly number[]> {
    const logits = await this.#logitsOf(read);
    const width = logits.length / read.padded.rows;
    return Array.from({ length: read.padded.rows }, (_, row) =>
      sampleToken(logits.subarray(row * width, (row + 1) * width), options, random()),
    );
  }

  #processor(): Promise<PixelMode> {
    this.#mode ??= processorOf(this.#engine.bundle.source).catch((error: unknown) => {
      this.#mode = undefined;
      throw error;
    });
    return this.#mode;
  }

  #tokenizer(): Promise<Text> {
    this.#text ??= this.#processor()
      .then((mode) => openText(this.#engine.bundle.source, this.facts, mode))
      .catch((error: unknown) => {
        this.#text = undefined;
        throw error instanceof RuntimeError && error.code === 'not_found'
          ? new RuntimeError(
              'not_found',
              'this bundle has no tokenizer',
              'give ids to prefill, or convert again with --tokenizer',
              { cause: error },
            )
          : error;
      });
    return this.#text;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#engine.checkLives();
    if (this.#busy) throw busy();
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }
}

function busy(): RuntimeError {
  return new RuntimeError('bad_input', 'the model is at work', 'wait for the call before');
}

function isList<T extends object>(value: T | string | readonly (T | string)[]): value is readonly (T | string)[] {
  return Array.isArray(value);
}
