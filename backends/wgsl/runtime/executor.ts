import type { ElementType, Phase, Plan, PlannedValue, Step } from '../bundle/plan.ts';
import { RuntimeError } from '../../client/errors.ts';
import type { StepPipeline } from './compiled.ts';
import { DeviceHealth, lossOf } from './health.ts';
import { packed, runsOf, storedPieces, type Elements } from './layout.ts';
import { DeviceMemory } from './memory.ts';
import { createPipelines, type PipelineChoice } from './pipelines.ts';
import { PlanBuffers } from './plan_buffers.ts';
import { extentOf } from './sizes.ts';
import { uploadShards, type UploadTimes } from './upload.ts';

/** Workgroups along one axis that every device allows. */
const MAX_WORKGROUPS = 65535;

export interface ExecutorOptions {
  /** The bytes of a shard, in order, until the signal. */
  readShard(index: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  readShader(index: number, signal: AbortSignal): Promise<string>;
  /** What the device's WGSL has beyond the first version's; default nothing. */
  readonly language?: ReadonlySet<string>;
  readonly signal?: AbortSignal;
  /** Hears of weights: bytes uploaded of all. */
  readonly onProgress?: (loaded: number, total: number) => void;
}

/** What was done so far, for tests and benchmarks: none of it is a time. */
export interface Counters {
  /** Kernels that were started. */
  dispatches: number;
  /** Command buffers that went to the queue. */
  submits: number;
  /** Compute passes. */
  passes: number;
  /** Bind groups that were made. */
  bindGroups: number;
  /** Bytes from the device to the host. */
  readbackBytes: number;
  /** Bytes of weights that went to the device. */
  uploadedBytes: number;
}

/** What was read back from the device. */
export interface ReadTensor {
  /** bool is u32 on the device. */
  readonly type: ElementType;
  /** Numbers: sizes are known by then. */
  readonly shape: readonly number[];
  /** In C order; bool is 0 or 1. */
  readonly data: Elements;
}

/** Wall times in milliseconds of what goes on side by side: shaders compile while weights come and go to the device. */
export interface LoadTimes extends UploadTimes {
  readonly compile: number;
}

interface Loaded {
  readonly pipelines: readonly StepPipeline[];
  readonly choices: readonly PipelineChoice[];
  readonly shards: readonly GPUBuffer[];
  readonly loading: LoadTimes;
}

/**
 * A plan on a device: weights, memory and pipelines. Bind groups are made when a step is first encoded and stay until
 * memory has to grow. Not for two runs at once.
 */
export class Executor {
  readonly device: GPUDevice;
  readonly plan: Plan;
  readonly counters: Counters = {
    dispatches: 0,
    submits: 0,
    passes: 0,
    bindGroups: 0,
    readbackBytes: 0,
    uploadedBytes: 0,
  };
  /** All buffers of this model. */
  readonly memory: DeviceMemory;
  /** For each pipeline the variant that runs, and why. */
  readonly choices: readonly PipelineChoice[];
  readonly loading: LoadTimes;
  /** Sizes, as kernels read them; also storage, for the kernel that advances `past`. */
  readonly dims: GPUBuffer;
  readonly #pipelines: readonly StepPipeline[];
  readonly #shards: readonly GPUBuffer[];
  readonly #buffers: PlanBuffers;
  readonly #health: DeviceHealth;
  readonly #groups = new Map<Step, GPUBindGroup>();
  /** Of the buffers that the groups have. */
  #grouped = 0;
  #disposed = false;

  private constructor(
    memory: DeviceMemory,
    health: DeviceHealth,
    plan: Plan,
    { pipelines, choices, shards, loading }: Loaded,
  ) {
    this.memory = memory;
    this.device = memory.device;
    this.#health = health;
    this.plan = plan;
    this.#pipelines = pipelines;
    this.choices = choices;
    this.loading = loading;
    this.#shards = shards;
    this.#buffers = new PlanBuffers(memory, plan);
    this.dims = memory.create({
      label: 'dims',
      size: Math.ceil((4 * plan.symbols.length) / 16) * 16,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
    this.device.queue.writeBuffer(this.dims, 0, Uint32Array.from(this.#buffers.sizes));
  }

  /**
   * Uploads the weights while the pipelines compile.
   * @throws RuntimeError; the signal's reason when it is aborted. Nothing stays on the device then.
   */
  static async create(device: GPUDevice, plan: Plan, options: ExecutorOptions): Promise<Executor> {
    const memory = new DeviceMemory(device);
    const health = new DeviceHealth(device);
    // one that fails ends the other
    const failed = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
    const ending = (error: unknown): never => {
      failed.abort(error);
      throw error;
    };
    const started = performance.now();
    const uploading = uploadShards(memory, plan, { ...options, signal }).catch(ending);
    const compiling = createPipelines(device, plan, { ...options, signal })
      .then((made) => ({ ...made, compile: performance.now() - started }))
      .catch(ending);
    await Promise.allSettled([uploading, compiling]);
    try {
      const [{ buffers: shards, times }, { pipelines, choices, compile }] = await Promise.all([uploading, compiling]);
      options.signal?.throwIfAborted();
      await device.queue.onSubmittedWorkDone();
      health.check();
      const executor = new Executor(memory, health, plan, {
        pipelines,
        choices,
        shards,
        loading: { ...times, compile },
      });
      executor.counters.uploadedBytes = plan.shards.reduce((sum, shard) => sum + shard.byteLength, 0);
      return executor;
    } catch (error) {
      health.dispose();
      memory.dispose();
      options.signal?.throwIfAborted();
      throw await lossOf(device, error);
    }
  }

  /** @throws RuntimeError `bad_input` when the plan has no such phase */
  phase(name: string): Phase {
    const phase = this.plan.phases.find((p) => p.name === name);
    if (!phase)
      throw new RuntimeError(
        'bad_input',
        `there is no phase "${name}"`,
        `there are ${this.plan.phases.map((p) => p.name).join(', ')}`,
      );
    return phase;
  }

  size(symbol: string): number {
    return this.#buffers.size(symbol);
  }

  /** States sizes for what follows; memory grows where it must (its contents are then gone). */
  setSizes(values: Readonly<Record<string, number>>): void {
    this.#alive();
    this.#buffers.set(values);
    // those alone: others may have been advanced by kernels since
    for (const [name, value] of Object.entries(values))
      this.device.queue.writeBuffer(this.dims, 4 * this.plan.symbols.indexOf(name), Uint32Array.of(value));
  }

  /** What the host knows of sizes that a kernel has advanced in `dims` itself. */
  noteSizes(values: Readonly<Record<string, number>>): void {
    this.#buffers.set(values);
  }

  /**
   * Memory of every value that phases touch, for the present sizes. What a refusal leaves is as good as new: it may be
   * asked for less.
   * @throws RuntimeError `small_limit`, `out_of_memory`
   */
  async reserve(...phases: readonly Phase[]): Promise<void> {
    this.#alive();
    await this.#buffers.reserve(phases);
    this.#alive();
  }

  /** The buffer of a port or stage, grown to the present sizes. @throws RuntimeError when no phase has it */
  bufferOf(name: string): GPUBuffer {
    return this.#buffers.grown(this.#buffers.value(name).buffer);
  }

  /** Puts packed elements into a port. */
  write(name: string, data: Elements): void {
    const value = this.#buffers.value(name);
    const runs = runsOf(value, this.#buffers.sizes, this.#buffers.capacity);
    const expected = runs.shape.reduce((a, b) => a * b, 1);
    if (data.length !== expected)
      throw new RuntimeError(
        'bad_input',
        `"${name}" has ${data.length} elements`,
        `[${runs.shape.join(', ')}] are ${expected}`,
      );
    const buffer = this.#buffers.grown(value.buffer);
    for (const { offset, piece } of storedPieces(data, runs)) this.device.queue.writeBuffer(buffer, 4 * offset, piece);
  }

  /** The bytes of a buffer as they lie, for the present sizes: for `restore`. */
  snapshot(index: number): Promise<ArrayBuffer> {
    this.#alive();
    const source = this.#buffers.grown(index);
    const encoder = this.device.createCommandEncoder();
    const buffer = this.stage(encoder, source, this.#buffers.byteLength(index));
    this.submit(encoder);
    return this.take(buffer);
  }

  /** What a snapshot of the same buffer and sizes holds, of this executor or of one with another part of the plan. */
  restore(index: number, bytes: ArrayBuffer): void {
    this.device.queue.writeBuffer(this.#buffers.grown(index), 0, bytes);
  }

  /** Encodes a phase into an open pass. */
  encode(pass: GPUComputePassEncoder, phase: Phase, steps: readonly Step[] = phase.steps): void {
    for (const step of steps) {
      const { pipeline } = this.#pipelines[step.pipeline]!;
      const [x, y, z] = step.grid.map((extent) => extentOf(extent, this.#buffers.sizes)) as [number, number, number];
      if (x * y * z === 0) continue;
      const folded = Math.ceil(x / MAX_WORKGROUPS);
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, this.#group(step));
      pass.dispatchWorkgroups(Math.ceil(x / folded), y * folded, z);
      this.counters.dispatches++;
    }
  }

  /** Runs a phase. `stages` are copied behind their steps, since their memory is used again: `read` gives those. */
  async run(
    name: string,
    { stages = [] }: { readonly stages?: readonly string[] } = {},
  ): Promise<ReadonlyMap<string, ReadTensor>> {
    const phase = this.phase(name);
    await this.reserve(phase);
    const copies: { readonly value: PlannedValue; readonly buffer: GPUBuffer }[] = [];
    const encoder = this.device.createCommandEncoder({ label: name });
    let from = 0;
    const flush = (to: number) => {
      if (to === from) return;
      const pass = encoder.beginComputePass({ label: name });
      this.counters.passes++;
      this.encode(pass, phase, phase.steps.slice(from, to));
      pass.end();
      from = to;
    };
    const wanted = new Set(stages);
    const copy = (value: PlannedValue) => {
      if (!wanted.delete(value.name)) return;
      const source = this.#buffers.grown(value.buffer);
      const buffer = this.stage(encoder, source);
      copies.push({ value, buffer });
    };
    for (const value of phase.inputs) for (const stage of phase.stages) if (stage.buffer === value.buffer) copy(stage);
    phase.steps.forEach((step, i) => {
      const made = step.produces.filter((value) => wanted.has(value.name));
      if (made.length === 0) return;
      flush(i + 1);
      for (const value of made) copy(value);
    });
    flush(phase.steps.length);
    this.submit(encoder);
    if (copies.length === 0) this.#alive();
    const taken = copies.map(async ({ value, buffer }) => [value.name, await this.#take(value, buffer)] as const);
    await Promise.allSettled(taken);
    if (wanted.size > 0) throw new RuntimeError('bad_input', `phase "${name}" makes no ${[...wanted].join(', ')}`);
    return new Map(await Promise.all(taken));
  }

  /** A buffer to be mapped that gets what `source` holds then. */
  stage(encoder: GPUCommandEncoder, source: GPUBuffer, size = source.size, offset = 0): GPUBuffer {
    const buffer = this.memory.create({
      label: `read ${source.label}`,
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.copyBufferToBuffer(source, offset, buffer, 0, size);
    return buffer;
  }

  /**
   * The bytes of a staged buffer, which is then gone.
   * @throws RuntimeError `device_lost`, `out_of_memory`, `disposed`
   */
  async take(buffer: GPUBuffer, byteLength = buffer.size): Promise<ArrayBuffer> {
    try {
      const mapped = Math.min(buffer.size, Math.max(16, Math.ceil(byteLength / 4) * 4));
      await buffer.mapAsync(GPUMapMode.READ, 0, mapped);
      this.#health.check();
      this.counters.readbackBytes += byteLength;
      return buffer.getMappedRange(0, mapped).slice(0, byteLength);
    } catch (error) {
      this.#alive();
      throw await lossOf(this.device, error);
    } finally {
      this.memory.destroy(buffer);
    }
  }

  /**
   * Waits until the device has looked at all that it was given (not until it is done): a call that ends with it hears
   * of its own errors, and leaves none to the next.
   * @throws RuntimeError `refused`, `out_of_memory`, `device_lost`, `disposed`
   */
  async told(): Promise<void> {
    this.device.pushErrorScope('validation');
    // errors are told in order: those of before have come by then
    await this.device.popErrorScope().catch(() => null);
    this.#alive();
  }

  submit(encoder: GPUCommandEncoder): void {
    this.device.queue.submit([encoder.finish()]);
    this.counters.submits++;
  }

  /**
   * The packed elements of a port as they are after what was submitted. One phase may leave an output where its input
   * lies: that is asked for as the phase has it.
   */
  async read(port: string | PlannedValue): Promise<ReadTensor> {
    this.#alive();
    const value = typeof port === 'string' ? this.#buffers.value(port) : port;
    const source = this.#buffers.grown(value.buffer);
    const encoder = this.device.createCommandEncoder();
    const buffer = this.stage(encoder, source);
    this.submit(encoder);
    return this.#take(value, buffer);
  }

  /** Gives all memory back. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#health.dispose();
    this.memory.dispose();
    this.#groups.clear();
  }

  async #take(value: PlannedValue, buffer: GPUBuffer): Promise<ReadTensor> {
    const runs = runsOf(value, this.#buffers.sizes, this.#buffers.capacity);
    const bytes = await this.take(buffer, 4 * runs.storedLength);
    const stored =
      value.type === 'f32'
        ? new Float32Array(bytes)
        : value.type === 'i32'
          ? new Int32Array(bytes)
          : new Uint32Array(bytes);
    return { type: value.type, shape: runs.shape, data: packed(stored, runs) };
  }

  /** Those whose buffers are still there. */
  #currentGroups(): Map<Step, GPUBindGroup> {
    if (this.#grouped !== this.#buffers.generation) this.#groups.clear();
    this.#grouped = this.#buffers.generation;
    return this.#groups;
  }

  #group(step: Step): GPUBindGroup {
    const known = this.#currentGroups().get(step);
    if (known) return known;
    const resources = step.bindings.map(({ kind, index }) => {
      if (kind === 'buffer') return { buffer: this.#buffers.grown(index) };
      const { shard, offset, byteLength } = this.plan.weights[index]!;
      return { buffer: this.#shards[shard]!, offset, size: Math.ceil(byteLength / 16) * 16 };
    });
    const group = this.device.createBindGroup({
      label: step.label,
      layout: this.#pipelines[step.pipeline]!.layout,
      entries: [{ buffer: this.dims }, ...resources].map((resource, binding) => ({ binding, resource })),
    });
    this.#currentGroups().set(step, group);
    this.counters.bindGroups++;
    return group;
  }

  #alive(): void {
    if (this.#disposed) throw new RuntimeError('disposed', 'this model was disposed', 'load it again');
    this.#health.check();
  }
}
