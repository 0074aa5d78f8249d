import type { ProgramMetadata } from '../../../ir/metadata.ts';
import type { TokenChunks } from '../../client/generation/decode.ts';
import type { DeviceModel, StepsRequest } from '../../client/generation/device_model.ts';
import type { FeaturePlace } from '../../client/generation/feature_places.ts';
import { wholeNumber } from '../../client/generation/numbers.ts';
import { lastPositions } from '../../client/generation/padded_rows.ts';
import type { Prompt } from '../../client/generation/prompt.ts';
import { CAPACITY, type Phase, type PlannedValue } from '../bundle/plan.ts';
import { MASK_CODES } from '../../client/answers/codes.ts';
import { RuntimeError } from '../../client/errors.ts';
import type { Executor, ReadTensor } from './executor.ts';
import { ImageFeatures } from './image_features.ts';
import { profilePhase, type StepTime } from './profile.ts';
import { MAX_STOPS } from './sampling/control.ts';
import { Sampler } from './sampling/sampler.ts';

/** Options of decoding that only this runtime has. */
export interface StepsAhead {
  /** Steps that are encoded before the host looks at their tokens. Default 8. */
  readonly ahead?: number;
}

const DEFAULT_AHEAD = 8;

/** A plan on a device as a model, with a KV cache of one prompt. Nothing but tokens comes back from the device. */
export class WgslDeviceModel implements DeviceModel<ImageFeatures, StepsAhead> {
  readonly executor: Executor;
  readonly #facts: ProgramMetadata;
  #hasLogits = false;

  constructor(executor: Executor, facts: ProgramMetadata) {
    this.executor = executor;
    this.#facts = facts;
  }

  encode(pixels: Float32Array): Promise<ImageFeatures> {
    const { executor } = this;
    const { imageTokens, hiddenSize } = this.#facts;
    return this.#told(async (undo) => {
      executor.setSizes({ images: 1 });
      await executor.reserve(executor.phase('vision_encoder'));
      executor.write('pixel_values', pixels);
      await executor.run('vision_encoder');
      const buffer = await executor.memory.checked('features of a picture', (memory) =>
        memory.create({
          label: 'image features',
          size: 4 * imageTokens * hiddenSize,
          usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
        }),
      );
      undo(() => executor.memory.destroy(buffer));
      const encoder = executor.device.createCommandEncoder();
      encoder.copyBufferToBuffer(executor.bufferOf('image_features'), 0, buffer, 0, buffer.size);
      executor.submit(encoder);
      return new ImageFeatures(buffer, executor.memory);
    });
  }

  isFeatures(value: object): value is ImageFeatures {
    return value instanceof ImageFeatures;
  }

  holds({ buffer }: ImageFeatures): boolean {
    return this.executor.memory.has(buffer);
  }

  free(features: ImageFeatures): void {
    features.destroy();
  }

  /** With memory for every step that may follow. */
  async prefill(prompt: Prompt, images: readonly ImageFeatures[]): Promise<void> {
    const { executor } = this;
    const { rows, length, room } = prompt;
    this.#hasLogits = false;
    await this.#told(async () => {
      executor.setSizes({ batch_size: rows, seq: 1, past: length, kept: 1, [CAPACITY]: length + room });
      await executor.reserve(...this.#stepPhases());
      executor.setSizes({ seq: length, past: 0 });
      await executor.reserve(executor.phase('embed_tokens'), executor.phase('decoder'));
      executor.write('input_ids', prompt.inputIds);
      await executor.run('embed_tokens');
      this.#place(prompt.places, images);
      executor.write('attention_mask', prompt.attentionMask);
      executor.write('position_ids', prompt.positionIds);
      executor.write('num_logits_to_keep', Int32Array.of(1));
      await executor.run('decoder');
    });
    this.#hasLogits = true;
  }

  /** f32 [rows, 1, vocabulary]: of the last position read. @throws RuntimeError `bad_input` before prefill */
  async logits(): Promise<ReadTensor> {
    if (!this.#hasLogits) throw new RuntimeError('bad_input', 'there are no logits', 'call prefill first');
    return this.executor.read('logits');
  }

  masks(codes: Int32Array): Promise<Float32Array> {
    const { executor } = this;
    return this.#told(async () => {
      executor.setSizes({ objects: codes.length / MASK_CODES });
      await executor.reserve(executor.phase('mask_decoder'));
      executor.write('codes', codes);
      await executor.run('mask_decoder');
      return (await executor.read('masks')).data as Float32Array;
    });
  }

  readonly ownOptions = ['ahead'] as const;

  checkSteps({ ahead = DEFAULT_AHEAD }: StepsAhead): void {
    wholeNumber('ahead', ahead, 1);
  }

  async *steps(prompt: Prompt, request: StepsRequest, { ahead: wanted = DEFAULT_AHEAD }: StepsAhead): TokenChunks {
    const { steps } = request;
    const { rows } = prompt;
    const ahead = Math.min(wanted, steps);
    const ring = 2 * ahead;
    const chunks: Promise<Uint32Array>[] = [];
    let sampler: Sampler | undefined;
    try {
      this.#startSteps(prompt);
      sampler = await this.#sampler(prompt, request, ring);
      for (let encoded = 0, given = 0; given < steps; given += ahead) {
        // one chunk ahead of the one whose tokens are awaited
        while (encoded < steps && chunks.length < 2) {
          const count = Math.min(ahead, steps - encoded);
          chunks.push(this.#chunk(sampler, { first: encoded, count, ring, rows }));
          encoded += count;
        }
        yield await chunks.shift()!;
      }
    } finally {
      // what was computed ahead is dropped
      await Promise.allSettled(chunks);
      sampler?.dispose();
      await this.#forgetErrors();
    }
  }

  /**
   * The packed elements of a stage or a port of a graph, by a run of that graph on what its inputs hold now. For
   * comparisons.
   */
  async dumpTensor(name: string): Promise<ReadTensor> {
    const phase = this.executor.plan.phases.find(
      ({ stages, steps }) =>
        stages.some((stage) => stage.name === name) ||
        steps.some(({ produces }) => produces.some((value) => value.name === name)),
    );
    if (!phase) return this.executor.read(name);
    const found = await this.executor.run(phase.name, { stages: [name] });
    return found.get(name) ?? this.executor.read(name);
  }

  /**
   * How long each step of a phase takes, in a run of that phase alone, behind what was `read`: which is overwritten.
   * @throws RuntimeError `missing_feature`
   */
  async profile(phase: string, read: Prompt | undefined): Promise<readonly StepTime[]> {
    const { fixed } = this.executor.phase(phase);
    if (fixed.length > 0 && read) this.executor.setSizes({ seq: 1, kept: 1, past: read.length });
    return profilePhase(this.executor, phase);
  }

  /** What a call gives, once the device has taken it: errors are told by the call that they are of, and no other. */
  async #told<T>(call: (undo: (step: () => void) => void) => Promise<T>): Promise<T> {
    let undo = () => {};
    try {
      const result = await call((step) => (undo = step));
      await this.executor.told();
      return result;
    } catch (error) {
      undo();
      await this.#forgetErrors();
      throw error;
    }
  }

  /** Of a call that has ended, and has told what there was to tell. */
  async #forgetErrors(): Promise<void> {
    await this.executor.told().catch(() => {});
  }

  /** Phases of a new token. */
  #stepPhases(): readonly Phase[] {
    return ['embed_tokens.step', 'decoder.step'].map((name) => this.executor.phase(name));
  }

  #place(places: readonly FeaturePlace[], images: readonly ImageFeatures[]): void {
    if (images.length === 0) return;
    const { executor } = this;
    const bytes = 4 * this.#facts.hiddenSize;
    const [encoder, target] = [executor.device.createCommandEncoder(), executor.bufferOf('inputs_embeds')];
    for (const { start, count, image, row } of places)
      encoder.copyBufferToBuffer(images[image]!.buffer, row * bytes, target, start * bytes, count * bytes);
    executor.submit(encoder);
  }

  /** One new token a row from here on. The sampler counts `past` up before each step, so it begins one below. */
  #startSteps(prompt: Prompt): void {
    const { executor } = this;
    executor.setSizes({ seq: 1, kept: 1, past: prompt.length });
    executor.write('position_ids', lastPositions(prompt));
    executor.setSizes({ past: prompt.length - 1 });
    executor.noteSizes({ past: prompt.length });
  }

  #sampler(prompt: Prompt, { stops, sampling }: StepsRequest, ring: number): Promise<Sampler> {
    const executor = this.executor;
    const facts = this.#facts;
    const buffers = {
      logits: executor.bufferOf('logits'),
      inputIds: executor.bufferOf('input_ids'),
      positionIds: executor.bufferOf('position_ids'),
      attentionMask: executor.bufferOf('attention_mask'),
      dims: executor.dims,
    };
    const shape = {
      prompt,
      rows: prompt.rows,
      columns: lastAxis(executor, 'logits'),
      vocab: facts.vocabSize,
      pad: facts.padTokenId,
      // the driver ends rows by all of them
      stops: stops.slice(0, MAX_STOPS),
      ring,
      capacity: executor.size(CAPACITY),
    };
    const past = executor.plan.symbols.indexOf('past');
    return Sampler.create(executor.memory, shape, buffers, past, sampling, executor.counters);
  }

  /**
   * `count` tokens a row: the first comes of the logits that are there, each further one of a step. One pass, one
   * submit.
   */
  async #chunk(
    sampler: Sampler,
    {
      first,
      count,
      ring,
      rows,
    }: { readonly first: number; readonly count: number; readonly ring: number; readonly rows: number },
  ): Promise<Uint32Array> {
    const { executor } = this;
    const phases = this.#stepPhases();
    const encoder = executor.device.createCommandEncoder({ label: 'decode' });
    const pass = encoder.beginComputePass({ label: 'decode' });
    executor.counters.passes++;
    for (let step = first; step < first + count; step++) {
      if (step > 0) {
        for (const phase of phases) executor.encode(pass, phase);
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
}

/** Elements of the last axis of a port, which no symbol changes. */
function lastAxis({ plan }: Executor, name: string): number {
  const value = plan.phases
    .flatMap((phase): readonly PlannedValue[] => phase.outputs)
    .find((output) => output.name === name);
  return value!.shape.at(-1)!.constant;
}
