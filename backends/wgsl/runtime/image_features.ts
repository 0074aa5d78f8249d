import type { DeviceMemory } from './memory.ts';

/** Features of a picture on the device: f32 [imageTokens, hiddenSize]. They may be read by any number of prompts. */
export class ImageFeatures {
  /** Where they lie; `destroy` gives it back. */
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
