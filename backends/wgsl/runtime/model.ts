import type { ModelFacts } from '../../client/model_facts.ts';
import { CAPACITY, type PlannedValue } from '../bundle/plan.ts';
import { RuntimeError } from '../../client/errors.ts';
import { orAbort } from './aborting.ts';
import type { Counters, Executor, ReadTensor } from './executor.ts';
import type { DeviceMemory } from './memory.ts';
import { profilePhase, type StepTime } from './profile.ts';
import { imageRuns, padLeft, type PaddedRows } from '../../client/text/prompt.ts';
import { Sampler, type SamplingOptions } from './sampling/sampler.ts';

/** Features of a picture on the device: f32 [imageTokens, hiddenSize]. They may be read by any number of prompts. */
export class ImageFeatures {
  readonly buffer: GPUBuffer;
  readonly #memory: DeviceMemory;

  constructor(buffer: GPUBuffer, memory: DeviceMemory) {
    this.buffer = buffer;
    this.#memory = memory;
  }

  /** Gives their memory back. */
  destroy(): void {
    this.#memory.destroy(this.buffer);
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
  /** Steps that are encoded before the host looks at their tokens. Default 8. */
  readonly ahead?: number;
  /** Ids that end a row, up to four; default the model's own. */
  readonly stopTokenIds?: readonly number[];
  readonly signal?: AbortSignal;
}

const DEFAULT_NEW_TOKENS = 256;
const DEFAULT_AHEAD = 8;

/**
 * A vision-language model on a device: what it has read is in its KV cache until the next prefill. One call at a time.
 */
export class DeviceModel {
  readonly facts: ModelFacts;
  readonly executor: Executor;
  #read: { readonly padded: PaddedRows; readonly room: number } | undefined;
  #busy = false;

  constructor(executor: Executor, facts: ModelFacts) {
    this.executor = executor;
    this.facts = facts;
  }

  get counters(): Counters {
    return this.executor.counters;
  }

  /** Pixels f32 [3, S, S] in [-1, 1] through the image tower. @throws RuntimeError */
  async encodePixels(pixels: Float32Array): Promise<ImageFeatures> {
    const { imageTokens, hiddenSize } = this.facts;
    return this.#alone(async () => {
      const { executor } = this;
      executor.setSizes({ images: 1 });
      executor.write('pixel_values', pixels);
      await executor.run('vision_encoder');
      const buffer = executor.memory.create({
        label: 'image features',
        size: 4 * imageTokens * hiddenSize,
        usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
      });
      const encoder = executor.device.createCommandEncoder();
      encoder.copyBufferToBuffer(executor.bufferOf('image_features'), 0, buffer, 0, buffer.size);
      executor.submit(encoder);
      return new ImageFeatures(buffer, executor.memory);
    });
  }

  /**
   * Reads a whole prompt: afterwards logits of the last position are there.
   * @throws RuntimeError `bad_input` when it does not fit the model
   */
  async prefill({ rows, images = [], maxNewTokens }: PrefillInput): Promise<void> {
    const { facts, executor } = this;
    const padded = padLeft(rows, facts.padTokenId);
    const highest = Math.max(facts.vocabSize - 1, facts.imageTokenId);
    const wrong = rows.flat().find((id) => !Number.isInteger(id) || id < 0 || id > highest);
    if (wrong !== undefined) throw new RuntimeError('bad_input', `a token ${wrong}`, `ids are 0 to ${highest}`);
    // the last token needs no position: nothing reads it
    const left = facts.maxPositions - padded.length + 1;
    if (left < 1)
      throw new RuntimeError('bad_input', `${padded.length} tokens`, `the model has ${facts.maxPositions} positions`);
    const room = Math.min(maxNewTokens ?? DEFAULT_NEW_TOKENS, left);
    const runs = imageRuns(padded, facts);
    const tokens = runs.reduce((sum, run) => sum + run.count, 0);
    if (tokens !== images.length * facts.imageTokens)
      throw new RuntimeError(
        'bad_input',
        `${tokens} image tokens for ${images.length} pictures of ${facts.imageTokens}`,
        'put the image tokens of every picture before its text',
      );
    await this.#alone(async () => {
      this.#read = undefined;
      executor.setSizes({
        batch_size: padded.rows,
        seq: padded.length,
        past: 0,
        kept: 1,
        [CAPACITY]: Math.max(executor.size(CAPACITY), padded.length + room),
      });
      executor.write('input_ids', padded.inputIds);
      await executor.run('embed_tokens');
      this.#placeImages(runs, images);
      executor.write('attention_mask', padded.attentionMask);
      executor.write('position_ids', padded.positionIds);
      executor.write('num_logits_to_keep', Int32Array.of(1));
      await executor.run('decoder');
      this.#read = { padded, room };
    });
  }

  /** f32 [rows, vocabulary]: of the last position read. */
  async logits(): Promise<ReadTensor> {
    return this.#alone(() => this.executor.read('logits'));
  }

  /**
   * Tokens after the prompt, step by step: one of every row, undefined for rows that have ended. Ends when all have, or
   * after `maxTokens`. Nothing but the tokens comes back from the device. Call prefill again before decoding again.
   */
  async *decode({
    maxTokens,
    ahead = DEFAULT_AHEAD,
    stopTokenIds,
    signal,
    ...sampling
  }: DecodeOptions = {}): AsyncGenerator<readonly (number | undefined)[]> {
    const read = this.#read;
    if (!read) throw new RuntimeError('bad_input', 'there is nothing to go on from', 'call prefill first');
    if (this.#busy) throw new RuntimeError('bad_input', 'the model is at work', 'wait for the call before');
    this.#busy = true;
    this.#read = undefined;
    const steps = Math.min(maxTokens ?? read.room, read.room);
    const { rows } = read.padded;
    const stops = stopTokenIds ?? [this.facts.eosTokenId];
    let sampler: Sampler | undefined;
    const chunks: Promise<Uint32Array>[] = [];
    try {
      signal?.throwIfAborted();
      this.#startSteps(read.padded);
      sampler = await this.#sampler(read.padded, { ring: 2 * ahead, stops, sampling });
      const ended = Array<boolean>(rows).fill(false);
      for (let encoded = 0, given = 0; given < steps && !ended.every(Boolean);) {
        // one chunk ahead of the one whose tokens are awaited
        while (encoded < steps && chunks.length < 2) {
          const count = Math.min(ahead, steps - encoded);
          chunks.push(this.#steps(sampler, { first: encoded, count, ring: 2 * ahead, rows }));
          encoded += count;
        }
        const tokens = await orAbort(chunks.shift()!, signal);
        for (let at = 0; at < tokens.length && !ended.every(Boolean); at += rows) {
          signal?.throwIfAborted();
          const made = ended.map((done, row) => (done ? undefined : tokens[at + row]!));
          yield made;
          made.forEach((token, row) => (ended[row] ||= token !== undefined && stops.includes(token)));
          given++;
        }
      }
    } finally {
      // what was computed ahead is dropped
      await Promise.allSettled(chunks);
      sampler?.dispose();
      this.#busy = false;
    }
  }

  /**
   * The packed elements of a stage or a port of a graph, by a run of that graph on what its inputs hold now. For
   * comparisons.
   */
  async dumpTensor(name: string): Promise<ReadTensor> {
    return this.#alone(async () => {
      const phase = this.executor.plan.phases.find(
        ({ stages, steps }) =>
          stages.some((stage) => stage.name === name) ||
          steps.some(({ produces }) => produces.some((value) => value.name === name)),
      );
      if (!phase) return this.executor.read(name);
      const found = await this.executor.run(phase.name, { stages: [name] });
      return found.get(name) ?? this.executor.read(name);
    });
  }

  /**
   * How long each step of a phase takes, in a run of that phase alone. Call prefill again before decoding.
   * @throws RuntimeError `missing_feature`
   */
  async profile(phase: string): Promise<readonly StepTime[]> {
    return this.#alone(async () => {
      const { fixed } = this.executor.phase(phase);
      const read = this.#read;
      this.#read = undefined;
      // a step after what was read
      if (fixed.length > 0 && read) this.executor.setSizes({ seq: 1, kept: 1, past: read.padded.length });
      return profilePhase(this.executor, phase);
    });
  }

  dispose(): void {
    this.executor.dispose();
  }

  #placeImages(runs: ReturnType<typeof imageRuns>, images: readonly ImageFeatures[]): void {
    if (images.length === 0) return;
    const { imageTokens, hiddenSize } = this.facts;
    const [encoder, target] = [this.executor.device.createCommandEncoder(), this.executor.bufferOf('inputs_embeds')];
    let feature = 0;
    for (const { start, count } of runs)
      for (let done = 0; done < count;) {
        const [image, row] = [images[Math.floor(feature / imageTokens)]!, feature % imageTokens];
        const rows = Math.min(count - done, imageTokens - row);
        encoder.copyBufferToBuffer(
          image.buffer,
          4 * row * hiddenSize,
          target,
          4 * (start + done) * hiddenSize,
          4 * rows * hiddenSize,
        );
        done += rows;
        feature += rows;
      }
    this.executor.submit(encoder);
  }

  /** One new token a row from here on. The sampler counts `past` up before each step, so it begins one below. */
  #startSteps({ rows, length, positionIds }: PaddedRows): void {
    const { executor } = this;
    executor.setSizes({ seq: 1, kept: 1, past: length });
    for (const name of ['embed_tokens.step', 'decoder.step']) executor.reserve(executor.phase(name));
    executor.write(
      'position_ids',
      Int32Array.from({ length: rows }, (_, row) => positionIds[(row + 1) * length - 1]!),
    );
    executor.setSizes({ past: length - 1 });
    executor.noteSizes({ past: length });
  }

  #sampler(
    { rows }: PaddedRows,
    {
      ring,
      stops,
      sampling,
    }: { readonly ring: number; readonly stops: readonly number[]; readonly sampling: SamplingOptions },
  ): Promise<Sampler> {
    const { executor, facts } = this;
    const buffers = {
      logits: executor.bufferOf('logits'),
      inputIds: executor.bufferOf('input_ids'),
      positionIds: executor.bufferOf('position_ids'),
      attentionMask: executor.bufferOf('attention_mask'),
      dims: executor.dims,
    };
    const shape = {
      rows,
      columns: lastAxis(executor, 'logits'),
      vocab: facts.vocabSize,
      pad: facts.padTokenId,
      stops,
      ring,
      capacity: executor.size(CAPACITY),
    };
    return Sampler.create(
      executor.memory,
      shape,
      buffers,
      executor.plan.symbols.indexOf('past'),
      sampling,
      executor.counters,
    );
  }

  /**
   * `count` tokens a row: the first comes of the logits that are there, each further one of a step. One pass, one
   * submit.
   */
  async #steps(
    sampler: Sampler,
    {
      first,
      count,
      ring,
      rows,
    }: { readonly first: number; readonly count: number; readonly ring: number; readonly rows: number },
  ): Promise<Uint32Array> {
    const { executor } = this;
    const [embed, decoder] = [executor.phase('embed_tokens.step'), executor.phase('decoder.step')];
    const encoder = executor.device.createCommandEncoder({ label: 'decode' });
    const pass = encoder.beginComputePass({ label: 'decode' });
    executor.counters.passes++;
    for (let step = first; step < first + count; step++) {
      if (step > 0) {
        executor.encode(pass, embed);
        executor.encode(pass, decoder);
        executor.noteSizes({ past: executor.size('past') + 1 });
      }
      sampler.encode(pass, executor.counters);
    }
    pass.end();
    const bytes = 4 * rows * count;
    const staged = executor.stage(encoder, sampler.tokens, bytes, 4 * rows * (first % ring));
    executor.submit(encoder);
    return new Uint32Array(await executor.take(staged, bytes));
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy) throw new RuntimeError('bad_input', 'the model is at work', 'wait for the call before');
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }
}

/** Elements of the last axis of a port, which no symbol changes. */
function lastAxis({ plan }: Executor, name: string): number {
  const value = plan.phases
    .flatMap((phase): readonly PlannedValue[] => phase.outputs)
    .find((output) => output.name === name);
  return value!.shape.at(-1)!.constant;
}
