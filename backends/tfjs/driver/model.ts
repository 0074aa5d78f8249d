import { PictureModel, type GenerateOptions as GenerateOptionsOf } from '../../client/generation/picture_model.ts';
import type { PrefillInput as PrefillInputOf } from '../../client/generation/prompt.ts';
import { TfjsDeviceModel, type Logits } from './device_model.ts';
import type { Engine } from './engine.ts';
import type { ImageFeatures } from './image_features.ts';

export type PrefillInput = PrefillInputOf<ImageFeatures>;
export type GenerateOptions = GenerateOptionsOf<ImageFeatures>;

/** A model that was loaded into tfjs. One call at a time. */
export class Model extends PictureModel<ImageFeatures> {
  readonly #engine: Engine;
  readonly #device: TfjsDeviceModel;

  /** Made by `load`. */
  constructor(engine: Engine) {
    const { source, plan } = engine.bundle;
    const device = new TfjsDeviceModel(engine);
    super(device, source, plan.model);
    this.#engine = engine;
    this.#device = device;
  }

  /** Of the bundle: `std` or `packed`. */
  get profile(): string {
    return this.#engine.bundle.plan.profile;
  }

  /**
   * f32 [rows, vocabulary], row after row: of the last position read.
   * @throws RuntimeError `bad_input` before prefill
   */
  async logits(): Promise<Logits> {
    return this.alone(() => this.#device.logits());
  }

  /** Gives back every tensor that the model has made; features of pictures are their owner's. */
  dispose(): void {
    this.#device.forget();
    this.#engine.dispose();
  }
}
