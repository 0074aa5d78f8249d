import { RuntimeError } from '../../client/errors.ts';

/** What of a device one model holds, so that all of it can be given back. */
export class DeviceMemory {
  readonly device: GPUDevice;
  readonly #live = new Set<GPUBuffer>();
  #bytes = 0;
  #peak = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** Bytes of all buffers that exist now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The most bytes there were at once. */
  get peak(): number {
    return this.#peak;
  }

  create(descriptor: GPUBufferDescriptor): GPUBuffer {
    const buffer = this.device.createBuffer(descriptor);
    this.#live.add(buffer);
    this.#bytes += buffer.size;
    this.#peak = Math.max(this.#peak, this.#bytes);
    return buffer;
  }

  destroy(buffer: GPUBuffer): void {
    if (!this.#live.delete(buffer)) return;
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  /** Destroys every buffer. */
  dispose(): void {
    for (const buffer of this.#live) this.destroy(buffer);
  }

  /** @throws RuntimeError `out_of_memory` when the device has no room for what `make` creates */
  async checked<T>(what: string, make: () => T): Promise<T> {
    this.device.pushErrorScope('out-of-memory');
    const made = make();
    const error = await this.device.popErrorScope();
    if (error)
      throw new RuntimeError(
        'out_of_memory',
        `the device has no room for ${what}: it holds ${this.#bytes} bytes for this model`,
        'free other models, or convert with a smaller dtype',
      );
    return made;
  }
}
