import { RuntimeError } from '../../client/errors.ts';
import { CAPACITY, type Phase, type Plan, type PlannedValue } from '../bundle/plan.ts';
import { lossOf } from './health.ts';
import type { DeviceMemory } from './memory.ts';
import { bytesOf } from './sizes.ts';

/**
 * The sizes of a plan as they are now, and the memory of its values for them: it grows where it must, and never
 * shrinks.
 */
export class PlanBuffers {
  /** Changes whenever a buffer is given back: bind groups of before may have it. */
  generation = 0;
  readonly #memory: DeviceMemory;
  readonly #plan: Plan;
  readonly #buffers: (GPUBuffer | undefined)[];
  readonly #sizes: number[];

  constructor(memory: DeviceMemory, plan: Plan) {
    this.#memory = memory;
    this.#plan = plan;
    this.#buffers = plan.buffers.map(() => undefined);
    this.#sizes = plan.symbols.map(() => 1);
  }

  /** Of the plan's symbols, by index. */
  get sizes(): readonly number[] {
    return this.#sizes;
  }

  /** Positions that caches have room for; 1 in a plan without. */
  get capacity(): number {
    const index = this.#plan.symbols.indexOf(CAPACITY);
    return index < 0 ? 1 : this.#sizes[index]!;
  }

  /** @throws RuntimeError `bad_input` for a symbol that the plan does not have */
  size(symbol: string): number {
    return this.#sizes[this.#symbol(symbol)]!;
  }

  /** States sizes for what follows. @throws RuntimeError `bad_input` as `size` */
  set(values: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(values)) this.#sizes[this.#symbol(name)] = value;
  }

  /** The value of a port or stage. @throws RuntimeError `bad_input` when no phase has it */
  value(name: string): PlannedValue {
    for (const { inputs, outputs, stages } of this.#plan.phases)
      for (const value of [...inputs, ...outputs, ...stages]) if (value.name === name) return value;
    throw new RuntimeError('bad_input', `no phase has a tensor "${name}"`);
  }

  /**
   * Memory of every value that phases touch, for the present sizes. What a refusal leaves is as good as new: it may be
   * asked for less.
   * @throws RuntimeError `small_limit`, `out_of_memory`
   */
  async reserve(phases: readonly Phase[]): Promise<void> {
    const used = new Set<number>();
    for (const { inputs, outputs, stages, steps } of phases) {
      for (const { buffer } of [...inputs, ...outputs, ...stages]) used.add(buffer);
      for (const { bindings } of steps) for (const { kind, index } of bindings) if (kind === 'buffer') used.add(index);
    }
    const growing = [...used].filter((index) => (this.#buffers[index]?.size ?? 0) < this.byteLength(index));
    if (growing.length === 0) return;
    try {
      await this.#memory.checked('so many tokens', () => growing.forEach((index) => this.grown(index)));
    } catch (error) {
      for (const index of growing) this.#drop(index);
      throw await lossOf(this.#memory.device, error);
    }
  }

  /** A buffer that holds what it must for the present sizes; what a smaller one held is gone. @throws RuntimeError */
  grown(index: number): GPUBuffer {
    const size = this.byteLength(index);
    const known = this.#buffers[index];
    if (known && known.size >= size) return known;
    const { label } = this.#plan.buffers[index]!;
    const { maxStorageBufferBindingSize, maxBufferSize } = this.#memory.device.limits;
    const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    if (size > most)
      throw new RuntimeError(
        'small_limit',
        `${label} needs ${size} bytes in one buffer, this device allows ${most}`,
        'use fewer tokens, a smaller batch or smaller pictures',
      );
    this.#drop(index);
    const buffer = this.#memory.create({
      label,
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    this.#buffers[index] = buffer;
    return buffer;
  }

  /** Bytes that a buffer must have for the present sizes. */
  byteLength(index: number): number {
    return Math.ceil(bytesOf(this.#plan.buffers[index]!, this.#sizes) / 16) * 16;
  }

  #drop(index: number): void {
    const known = this.#buffers[index];
    if (known) this.#memory.destroy(known);
    this.#buffers[index] = undefined;
    this.generation++;
  }

  #symbol(name: string): number {
    const index = this.#plan.symbols.indexOf(name);
    if (index < 0)
      throw new RuntimeError('bad_input', `the plan has no size "${name}"`, `it has ${this.#plan.symbols.join(', ')}`);
    return index;
  }
}
