import { MASK_CODES } from '../../client/answers/codes.ts';
import { RuntimeError } from '../../client/errors.ts';
import type { TokenChunks } from '../../client/generation/decode.ts';
import type { DeviceModel, StepsRequest } from '../../client/generation/device_model.ts';
import type { FeaturePlace } from '../../client/generation/feature_places.ts';
import { lastPositions } from '../../client/generation/padded_rows.ts';
import type { Prompt } from '../../client/generation/prompt.ts';
import { firstOfBest, TokenSampler } from '../../client/generation/sample.ts';
import type { GraphPlan } from '../plan.ts';
import type { Engine } from './engine.ts';
import { ImageFeatures } from './image_features.ts';
import type { Tensor, Tfjs } from './tfjs.ts';

export interface Logits {
  /** [rows, vocabulary] */
  readonly shape: readonly [number, number];
  readonly data: Float32Array;
}

/**
 * Capacities of caches are multiples of it: prompts of similar length then use tensors of one size, and shaders and
 * buffers of one.
 */
const CAPACITY_STEP = 64;

/** What a prompt has left in the caches. */
interface Read {
  readonly rows: number;
  readonly capacity: number;
  readonly caches: Record<string, Tensor>;
  /** Outputs of the last position, by name. */
  head: Record<string, Tensor>;
}

/** Positions that a forward pass reads, behind `past` others: ids of positions, and a mask over all. */
interface NewPositions {
  readonly past: number;
  readonly length: number;
  readonly positions: Int32Array;
  readonly mask: Int32Array;
}

/** Graphs of a bundle in tfjs, with caches of one prompt. Greedy tokens are found in tfjs: few bytes come back. */
export class TfjsDeviceModel implements DeviceModel<ImageFeatures> {
  readonly #engine: Engine;
  readonly #tf: Tfjs;
  #read: Read | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#tf = engine.tf;
  }

  async encode(pixels: Float32Array): Promise<ImageFeatures> {
    this.#engine.checkLives();
    const { imageSize, imageTokens, hiddenSize } = this.#engine.bundle.plan.model;
    const input = this.#tf.tensor(pixels, [1, 3, imageSize, imageSize], 'float32');
    try {
      const results = await this.#run('vision_encoder', { pixel_values: input }, ['image_features']);
      const features = results['image_features']!;
      try {
        return new ImageFeatures(this.#tf.reshape(features, [imageTokens, hiddenSize]));
      } finally {
        features.dispose();
      }
    } finally {
      input.dispose();
    }
  }

  isFeatures(value: object): value is ImageFeatures {
    return value instanceof ImageFeatures;
  }

  holds({ tensor }: ImageFeatures): boolean {
    return !tensor.isDisposed;
  }

  free(features: ImageFeatures): void {
    features.dispose();
  }

  async prefill(prompt: Prompt, images: readonly ImageFeatures[]): Promise<void> {
    this.#engine.checkLives();
    this.forget();
    const { rows, length, room, inputIds, positionIds, attentionMask } = prompt;
    const embedded = await this.#embed(inputIds, rows, length);
    const embeds = this.#withImages(embedded, prompt, images);
    const capacity = Math.ceil((length + room) / CAPACITY_STEP) * CAPACITY_STEP;
    try {
      this.#read = { rows, capacity, caches: this.#emptyCaches(rows, capacity), head: {} };
    } catch (error) {
      embeds.dispose();
      throw error;
    }
    await this.#forward(this.#read, embeds, { past: 0, length, positions: positionIds, mask: attentionMask });
  }

  /** Of the last position read. @throws RuntimeError `bad_input` when nothing was, or it was decoded from */
  async logits(): Promise<Logits> {
    this.#engine.checkLives();
    const read = this.#read;
    if (!read) throw new RuntimeError('bad_input', 'there are no logits', 'call prefill first');
    const data = await this.#logitsOf(read);
    return { shape: [read.rows, data.length / read.rows], data };
  }

  async masks(codes: Int32Array): Promise<Float32Array> {
    this.#engine.checkLives();
    const input = this.#tf.tensor(codes, [codes.length / MASK_CODES, MASK_CODES], 'int32');
    try {
      const { masks } = await this.#run('mask_decoder', { codes: input }, ['masks']);
      try {
        return (await masks!.data()) as Float32Array;
      } finally {
        masks!.dispose();
      }
    } finally {
      input.dispose();
    }
  }

  readonly ownOptions = [];

  checkSteps(): void {
    // any number of stop tokens, and no options of its own
  }

  async *steps(prompt: Prompt, { steps, sampling }: StepsRequest): TokenChunks {
    const { rows, length, attentionMask } = prompt;
    const sampler = TokenSampler.isGreedy(sampling) ? undefined : new TokenSampler(sampling, prompt);
    const last = lastPositions(prompt);
    try {
      for (let step = 0; step < steps; step++) {
        this.#engine.checkLives();
        const read = this.#read!;
        const tokens = sampler
          ? await this.#sampled(read, (row, logits) => sampler.next(row, logits))
          : await this.#best(read);
        yield tokens;
        if (step + 1 === steps) return;
        const past = length + step;
        const mask = new Int32Array(rows * (past + 1)).fill(1);
        for (let row = 0; row < rows; row++)
          mask.set(attentionMask.subarray(row * length, (row + 1) * length), row * (past + 1));
        const embeds = await this.#embed(Int32Array.from(tokens), rows, 1);
        const positions = last.map((position) => position + step + 1);
        await this.#forward(read, embeds, { past, length: 1, positions, mask });
      }
    } finally {
      this.forget();
    }
  }

  /** Gives back what was read. */
  forget(): void {
    if (!this.#read) return;
    for (const tensor of [...Object.values(this.#read.caches), ...Object.values(this.#read.head)]) tensor.dispose();
    this.#read = undefined;
  }

  #decoder(): GraphPlan {
    return this.#engine.graph('decoder')!.plan;
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

  /** Embeddings with features of pictures in the place of image tokens. Disposes the embeddings, also when it fails. */
  #withImages(embedded: Tensor, { rows, length, places }: Prompt, images: readonly ImageFeatures[]): Tensor {
    if (images.length === 0) return embedded;
    const { hiddenSize } = this.#engine.bundle.plan.model;
    const tf = this.#tf;
    const text = (flat: Tensor, from: number, to: number) =>
      to > from ? [tf.slice(flat, [from, 0], [to - from, hiddenSize])] : [];
    const picture = ({ image, row, count }: FeaturePlace) =>
      tf.slice(images[image]!.tensor, [row, 0], [count, hiddenSize]);
    try {
      return tf.tidy(() => {
        const flat = tf.reshape(embedded, [rows * length, hiddenSize]);
        const ends = places.map(({ start, count }) => start + count);
        const pieces = places.flatMap((place, i) => [...text(flat, ends[i - 1] ?? 0, place.start), picture(place)]);
        return tf.reshape(tf.concat([...pieces, ...text(flat, ends.at(-1)!, rows * length)], 0), [
          rows,
          length,
          hiddenSize,
        ]);
      });
    } finally {
      embedded.dispose();
    }
  }

  /** All or none. */
  #emptyCaches(rows: number, capacity: number): Record<string, Tensor> {
    const { caches, inputs } = this.#decoder();
    const size = (given: number | string) =>
      typeof given === 'number' ? given : given === 'capacity' ? capacity : rows;
    return this.#tf.tidy(() =>
      Object.fromEntries(
        caches.map(({ past }) => {
          const { shape } = inputs.find(({ name }) => name === past)!;
          return [past, this.#tf.zeros(shape.map(size), 'float32')];
        }),
      ),
    );
  }

  /**
   * New positions through the decoder: caches and what the last position says are replaced. Disposes the embeddings.
   */
  async #forward(read: Read, embeds: Tensor, { past, length, positions, mask }: NewPositions): Promise<void> {
    const { rows, capacity } = read;
    const { caches, joins } = this.#decoder();
    const full = new Int32Array(rows * capacity);
    for (let row = 0; row < rows; row++)
      full.set(mask.subarray(row * (past + length), (row + 1) * (past + length)), row * capacity);
    const tf = this.#tf;
    let own: Record<string, Tensor> = { inputs_embeds: embeds };
    try {
      own = {
        ...own,
        ...tf.tidy(() => ({
          attention_mask: tf.tensor(full, [rows, capacity], 'int32'),
          position_ids: tf.tensor(positions, [rows, length], 'int32'),
          num_logits_to_keep: tf.scalar(1, 'int32'),
          past: tf.scalar(past, 'int32'),
        })),
      };
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
      this.forget();
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
  async #best(given: Read): Promise<readonly number[]> {
    const { head, rows } = given;
    const { pieces, rows: sizes } = this.#join();
    const read = (suffix: string) => Promise.all(pieces.map((piece) => head[`${piece}.${suffix}`]!.data<'float32'>()));
    const [indices, values] = await Promise.all([read('best'), read('max')]);
    // NaN hides what else a shard has
    if (values.some((most) => most.some(Number.isNaN))) return this.#sampled(given, (_, logits) => firstOfBest(logits));
    return Array.from({ length: rows }, (_, row) => {
      let [token, most, first] = [0, -Infinity, 0];
      for (const [piece, size] of sizes.entries()) {
        if (values[piece]![row]! > most) [token, most] = [first + indices[piece]![row]!, values[piece]![row]!];
        first += size;
      }
      return token;
    });
  }

  async #logitsOf({ head, rows }: Read): Promise<Float32Array> {
    const { pieces, rows: sizes } = this.#join();
    const parts = await Promise.all(pieces.map((piece) => head[piece]!.data<'float32'>()));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const out = new Float32Array(rows * total);
    for (let row = 0, at = 0; row < rows; row++)
      for (const [piece, size] of sizes.entries()) {
        out.set(parts[piece]!.subarray(row * size, (row + 1) * size), at);
        at += size;
      }
    return out;
  }

  async #sampled(read: Read, choose: (row: number, logits: Float32Array) => number): Promise<readonly number[]> {
    const logits = await this.#logitsOf(read);
    const width = logits.length / read.rows;
    return Array.from({ length: read.rows }, (_, row) => choose(row, logits.subarray(row * width, (row + 1) * width)));
  }
}
