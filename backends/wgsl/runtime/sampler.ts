import { RuntimeError } from './errors.ts';
import type { Counters } from './executor.ts';
import { BEST_OF_PART, FINISH, PART, THRESHOLD } from './sampling_shaders.ts';

export interface SamplingOptions {
  /** 0 (default) takes the most likely token, the first of equals. */
  readonly temperature?: number;
  /** Tokens that may be taken; 0 (default) for all. */
  readonly topK?: number;
  /** Probability that the tokens which may be taken have together, of those that top-k leaves; default 1. */
  readonly topP?: number;
  /** Equal seeds give equal tokens on one device. Default 0. */
  readonly seed?: number;
}

export interface SamplerShape {
  readonly rows: number;
  /** Elements of a row of logits, and how many of them mean a token. */
  readonly columns: number;
  readonly vocab: number;
  readonly pad: number;
  /** Up to four ids that end a row. */
  readonly stops: readonly number[];
  /** Tokens a row that wait for the host. */
  readonly ring: number;
  readonly capacity: number;
}

/** What the last kernel writes for the next step. */
export interface SamplerBuffers {
  readonly logits: GPUBuffer;
  readonly inputIds: GPUBuffer;
  readonly positionIds: GPUBuffer;
  readonly attentionMask: GPUBuffer;
  readonly dims: GPUBuffer;
}

const MAX_STOPS = 4;

/** Tokens from logits, on the device: two dispatches a step, three with top-k or top-p. */
export class Sampler {
  /** u32[ring, rows] */
  readonly tokens: GPUBuffer;
  readonly #dispatches: readonly { readonly pipeline: GPUComputePipeline; readonly group: GPUBindGroup; readonly grid: readonly [number, number] }[];
  readonly #owned: readonly GPUBuffer[];

  private constructor(tokens: GPUBuffer, dispatches: Sampler['dispatches'], owned: readonly GPUBuffer[]) {
    this.tokens = tokens;
    this.#dispatches = dispatches;
    this.#owned = owned;
  }

  get dispatches() {
    return this.#dispatches;
  }

  /** @param past where the symbol `past` lies among the sizes @throws RuntimeError `bad_input` for options that mean nothing */
  static async create(device: GPUDevice, shape: SamplerShape, buffers: SamplerBuffers, past: number, options: SamplingOptions, counters: Counters): Promise<Sampler> {
    const { temperature = 0, topK = 0, topP = 1, seed = 0 } = options;
    check(temperature >= 0 && Number.isFinite(temperature), `a temperature of ${temperature}`, '0 or more');
    check(Number.isInteger(topK) && topK >= 0, `top-k of ${topK}`, 'a whole number, 0 for all');
    check(topP > 0 && topP <= 1, `top-p of ${topP}`, 'more than 0, up to 1');
    check(shape.stops.length <= MAX_STOPS, `${shape.stops.length} stop tokens`, `at most ${MAX_STOPS}`);
    const parts = Math.ceil(shape.vocab / PART);
    const buffer = (label: string, words: number, usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST) => device.createBuffer({ label, size: Math.max(16, 4 * words), usage });
    const control = buffer('control', 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    const words = new ArrayBuffer(64);
    new Float32Array(words).set([temperature, topP]);
    new Uint32Array(words).set([topK, seed >>> 0, shape.vocab, shape.pad, shape.ring, shape.stops.length, ...shape.stops, ...Array<number>(MAX_STOPS - shape.stops.length).fill(0), shape.rows, shape.columns, parts, shape.capacity], 2);
    device.queue.writeBuffer(control, 0, words);
    const [threshold, state, best, tokens] = [buffer('threshold', shape.rows), buffer('state', 1 + shape.rows), buffer('best', 2 * shape.rows * parts), buffer('tokens', shape.ring * shape.rows)];
    const { logits, inputIds, positionIds, attentionMask, dims } = buffers;
    const filters = temperature > 0 && (topK > 0 || topP < 1);
    if (!filters) device.queue.writeBuffer(threshold, 0, new Float32Array(shape.rows).fill(-3.4e38));
    const kernels = [
      ...(filters ? [{ label: 'threshold', code: THRESHOLD, resources: [logits, threshold], grid: [shape.rows, 1] as const }] : []),
      { label: 'best of part', code: BEST_OF_PART, resources: [logits, threshold, state, best], grid: [parts, shape.rows] as const },
      { label: 'finish', code: FINISH, constants: { PAST: past }, resources: [best, state, tokens, inputIds, positionIds, attentionMask, dims], grid: [1, 1] as const },
    ];
    const dispatches = await Promise.all(
      kernels.map(async ({ label, code, constants, resources, grid }) => {
        const module = device.createShaderModule({ label, code });
        const pipeline = await device.createComputePipelineAsync({ label, layout: 'auto', compute: { module, entryPoint: 'main', ...(constants && { constants }) } });
        const group = device.createBindGroup({ label, layout: pipeline.getBindGroupLayout(0), entries: [control, ...resources].map((resource, binding) => ({ binding, resource: { buffer: resource } })) });
        counters.bindGroups++;
        return { pipeline, group, grid };
      }),
    );
    return new Sampler(tokens, dispatches, [control, threshold, state, best, tokens]);
  }

  /** A token for every row, from the logits that are there by then. */
  encode(pass: GPUComputePassEncoder, counters: Counters): void {
    for (const { pipeline, group, grid } of this.#dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
      counters.dispatches++;
    }
  }

  dispose(): void {
    for (const buffer of this.#owned) buffer.destroy();
  }
}

function check(holds: boolean, what: string, allowed: string): void {
  if (!holds) throw new RuntimeError('bad_input', what, `it must be ${allowed}`);
}
