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

  /** Whether a buffer is of this model and exists. */
  has(buffer: GPUBuffer): boolean {
    return this.#live.has(buffer);
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

  /**
   * What `make` creates, if the device has room for it; otherwise all that it created is destroyed.
   * @throws RuntimeError `out_of_memory`; what `make` throws
   */
  async checked<T>(what: string, make: (memory: this) => T): Promise<T> {
    const before = new Set(this.#live);
    this.device.pushErrorScope('out-of-memory');
    let made: { readonly value: T } | { readonly error: unknown };
    try {
      made = { value: make(this) };
    } catch (error) {
      made = { error };
    }
    const created = [...this.#live].filter((buffer) => !before.has(buffer));
    const full = await this.device.popErrorScope();
    if ('value' in made && !full) return made.value;
    for (const buffer of created) this.destroy(buffer);
    if ('error' in made) throw made.error;
    throw new RuntimeError(
      'out_of_memory',
      `the device has no room for ${what}: it holds ${this.#bytes} bytes for this model`,
      'use fewer tokens or a smaller batch, free other models, or convert with a smaller dtype',
    );
  }
}
