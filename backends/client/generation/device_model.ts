import type { TokenChunks } from './decode.ts';
import type { Prompt } from './prompt.ts';
import type { Sampling } from './sampling.ts';

/** What is wanted of a model that decodes. */
export interface StepsRequest {
  /** Tokens a row at most. */
  readonly steps: number;
  /** Ids that end a row; the driver ends when all have, the device may make use of it before. */
  readonly stops: readonly number[];
  readonly sampling: Sampling;
}

/**
 * What a runtime brings: the graphs of a model on a device, and memory for one prompt. PictureModel has checked what it
 * hands over, and waits for a call before it makes the next. Every call may throw a RuntimeError, `disposed` among
 * them, and leaves nothing behind then. `Own` are options of decoding that only this runtime has.
 */
export interface DeviceModel<Features extends object, Own extends object = object> {
  /** Names of the options of decoding that only this runtime has. */
  readonly ownOptions: readonly (keyof Own & string)[];
  /** Pixels f32 [3, imageSize, imageSize] through the image tower. */
  encode(pixels: Float32Array): Promise<Features>;
  /** Whether these are features, and not a picture. */
  isFeatures(value: object): value is Features;
  /** Whether features can be read: they are on this device, and were not given back. */
  holds(features: Features): boolean;
  /** Gives the memory of features back. */
  free(features: Features): void;
  /** Reads a prompt with an empty cache, in place of what was read before. */
  prefill(prompt: Prompt, images: readonly Features[]): Promise<void>;
  /** Masks f32 [n, maskSize, maskSize] of codes [n, 16]; also between tokens. Only asked of a model with `maskSize`. */
  masks(codes: Int32Array): Promise<Float32Array>;
  /** @throws RuntimeError `bad_input` for options of its own that it cannot have */
  checkSteps(own: Partial<Own>): void;
  /**
   * Tokens after the prompt, `steps` of every row, in chunks as the device likes; then what was read is gone. A logit
   * of NaN is never chosen; where all are, the token is the size of the vocabulary.
   */
  steps(prompt: Prompt, request: StepsRequest, own: Partial<Own>): TokenChunks;
}
