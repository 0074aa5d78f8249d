import {
  PictureModel,
  type DecodeOptions as AnyDecodeOptions,
  type GenerateOptions as AnyGenerateOptions,
} from '../../client/generation/picture_model.ts';
import type { PrefillInput as AnyPrefillInput } from '../../client/generation/prompt.ts';
import type { BundleSource } from '../../client/sources/source.ts';
import type { WgslManifest } from '../bundle/manifest.ts';
import type { StepsAhead } from './device_model.ts';
import type { Counters, ReadTensor } from './executor.ts';
import type { ImageFeatures } from './image_features.ts';
import type { LoadInfo, LoadOptions, Started } from './load_options.ts';
import type { StepTime } from './profile.ts';

export type PrefillInput = AnyPrefillInput<ImageFeatures>;
export interface DecodeOptions extends AnyDecodeOptions, StepsAhead {}
export interface GenerateOptions extends AnyGenerateOptions<ImageFeatures>, StepsAhead {}

/** A model that was loaded. One call at a time. */
export class Model extends PictureModel<ImageFeatures, StepsAhead> {
  readonly #restart: (changes: LoadOptions) => Promise<Started>;
  #started: Started;

  /** Made by `load`. */
  constructor(
    source: BundleSource,
    { model }: WgslManifest,
    started: Started,
    restart: (changes: LoadOptions) => Promise<Started>,
  ) {
    super(started.model, source, model);
    this.#started = started;
    this.#restart = restart;
  }

  /** What the runtime chose of the device, and why. */
  get info(): LoadInfo {
    return this.#started.info;
  }

  /** Dispatches, submits, bytes read back, … since it was loaded. */
  get counters(): Readonly<Counters> {
    return this.#started.model.executor.counters;
  }

  /** Bytes that the model holds on the device now, and the most it has held. */
  get memory(): { readonly bytes: number; readonly peak: number } {
    const { bytes, peak } = this.#started.model.executor.memory;
    return { bytes, peak };
  }

  /** f32 [rows, 1, vocabulary]: of the last position read. @throws RuntimeError `bad_input` before prefill */
  async logits(): Promise<ReadTensor> {
    return this.alone(() => this.#started.model.logits());
  }

  /**
   * How long each kernel of a phase takes; default one step of decoding after what was read. Call prefill again before
   * decoding.
   * @throws RuntimeError `missing_feature`
   */
  async profile(phase = 'decoder.step'): Promise<readonly StepTime[]> {
    return this.alone(() => this.#started.model.profile(phase, this.takeRead()));
  }

  /**
   * The elements of a stage or port, by running its graph on what its inputs hold now.
   * @throws RuntimeError `bad_input` when there is none
   */
  async dumpTensor(name: string): Promise<ReadTensor> {
    return this.alone(() => this.#started.model.dumpTensor(name));
  }

  /**
   * After the device was lost: loads everything again. What was read, and features of pictures, are gone.
   * @throws as `load` does
   */
  async recover(changes: Pick<LoadOptions, 'device' | 'onProgress' | 'signal'> = {}): Promise<void> {
    this.#started.dispose();
    this.#started = await this.#restart(changes);
    this.use(this.#started.model);
  }

  /** Gives everything back. */
  async dispose(): Promise<void> {
    this.#started.dispose();
  }
}
