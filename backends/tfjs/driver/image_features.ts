import type { Tensor } from './tfjs.ts';

/** Features of a picture: f32 [imageTokens, hiddenSize] in tfjs. They may be read by any number of prompts. */
export class ImageFeatures {
  /** Where they lie; `dispose` gives it back. */
  readonly tensor: Tensor;

  constructor(tensor: Tensor) {
    this.tensor = tensor;
  }

  /** Gives their memory back. */
  dispose(): void {
    this.tensor.dispose();
  }
}
