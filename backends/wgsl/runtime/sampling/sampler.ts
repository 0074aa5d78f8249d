import { compiled, type StepPipeline } from '../compiled.ts';
import { seenIn, type SampledRows } from '../../../client/generation/sample.ts';
import type { Sampling } from '../../../client/generation/sampling.ts';
import type { Counters } from '../executor.ts';
import type { DeviceMemory } from '../memory.ts';
import { CONTROL_BYTES, LEAST_TOP_P, MAX_STOPS, PART } from './control.ts';
import { SELECT, STATISTICS } from './select_shaders.ts';
import { BEST_OF_PART, FINISH, PENALIZE } from './shaders.ts';

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
  /** What was read, for a penalty of repetition. */
  readonly prompt: SampledRows;
}

/** What the last kernel writes for the next step. */
export interface SamplerBuffers {
  readonly logits: GPUBuffer;
  readonly inputIds: GPUBuffer;
  readonly positionIds: GPUBuffer;
  readonly attentionMask: GPUBuffer;
  /** Sizes, with `past` one below what the next step has. */
  readonly dims: GPUBuffer;
}

interface SamplerKernel {
  readonly code: string;
  readonly constants: Readonly<Record<string, number>>;
  readonly resources: readonly GPUBuffer[];
  readonly grid: readonly [number, number];
}

/**
 * Tokens from logits, on the device: two dispatches a step; four more for top-k, five for top-p, one for min-p without
 * it, one for a penalty of repetition.
 */
export class Sampler {
  /** u32[ring, rows] */
  readonly tokens: GPUBuffer;
  readonly #memory: DeviceMemory;
  readonly #dispatches: readonly {
    readonly pipeline: GPUComputePipeline;
    readonly group: GPUBindGroup;
    readonly grid: readonly [number, number];
  }[];
  readonly #owned: readonly GPUBuffer[];

  private constructor(
    memory: DeviceMemory,
    tokens: GPUBuffer,
    dispatches: readonly {
      readonly pipeline: GPUComputePipeline;
      readonly group: GPUBindGroup;
      readonly grid: readonly [number, number];
    }[],
    owned: readonly GPUBuffer[],
  ) {
    this.#memory = memory;
    this.tokens = tokens;
    this.#dispatches = dispatches;
    this.#owned = owned;
  }

  /**
   * @param past where the symbol `past` lies among the sizes
   * @throws RuntimeError `out_of_memory`
   */
  static async create(
    memory: DeviceMemory,
    shape: SamplerShape,
    buffers: SamplerBuffers,
    past: number,
    { temperature, topK, topP, minP, repetitionPenalty, seed }: Sampling,
    counters: Counters,
  ): Promise<Sampler> {
    const { device } = memory;
    const { rows, columns, vocab, pad, stops, ring, capacity, prompt } = shape;
    const parts = Math.ceil(vocab / PART);
    const penalizes = repetitionPenalty !== 1;
    const storage = (label: string, words: number) =>
      memory.create({
        label,
        size: Math.max(16, 4 * words),
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
      });
    const own = await memory.checked('sampling', () => ({
      control: memory.create({
        label: 'control',
        size: CONTROL_BYTES,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      }),
      state: storage('state', 1 + rows),
      best: storage('best', 2 * rows * parts),
      tokens: storage('tokens', ring * rows),
      levels: storage('levels', 16 * rows),
      histograms: storage('histograms', 8 * 256 * rows),
      statistics: storage('statistics', 2 * rows * parts),
      seen: storage('seen', penalizes ? rows * Math.ceil(vocab / 32) : 0),
    }));
    const { control, state, best, tokens, levels, histograms, statistics, seen } = own;
    const owned = Object.values(own);
    const words = new ArrayBuffer(CONTROL_BYTES);
    new Float32Array(words).set([temperature, Math.max(topP, LEAST_TOP_P)]);
    new Float32Array(words).set([repetitionPenalty, Math.log(minP)], 16);
    new Uint32Array(words).set(
      [
        topK,
        seed,
        vocab,
        pad,
        ring,
        stops.length,
        ...stops,
        ...Array<number>(MAX_STOPS - stops.length).fill(0),
        rows,
        columns,
        parts,
        capacity,
      ],
      2,
    );
    device.queue.writeBuffer(control, 0, words);
    if (penalizes) device.queue.writeBuffer(seen, 0, seenBits(prompt, vocab));
    const { logits, inputIds, positionIds, attentionMask, dims } = buffers;
    const byK = temperature > 0 && topK > 0 && topK < vocab;
    const byP = temperature > 0 && topP < 1;
    const byMinP = temperature > 0 && minP > 0;
    const afterK = { AFTER_TOP_K: byK ? 1 : 0 };
    const grid = [parts, rows] as const;
    const select = (level: number): SamplerKernel => ({
      code: SELECT,
      constants: { LEVEL: level, ...afterK },
      resources: [logits, levels, histograms, statistics],
      grid,
    });
    const kernels: readonly SamplerKernel[] = [
      ...(penalizes ? [{ code: PENALIZE, constants: {}, resources: [logits, seen], grid }] : []),
      ...(byK ? [0, 1, 2, 3].map(select) : []),
      ...(byP || byMinP
        ? [{ code: STATISTICS, constants: afterK, resources: [logits, levels, histograms, statistics], grid }]
        : []),
      ...(byP ? [4, 5, 6, 7].map(select) : []),
      {
        code: BEST_OF_PART,
        constants: { LAST_LEVEL: byP ? 7 : byK ? 3 : 8, BY_MIN_P: byMinP ? 1 : 0 },
        resources: [logits, levels, histograms, state, best, statistics],
        grid,
      },
      {
        code: FINISH,
        constants: { PAST: past },
        resources: [best, state, tokens, inputIds, positionIds, attentionMask, dims, seen],
        grid: [1, 1],
      },
    ];
    const made = await Promise.all(kernels.map((kernel) => pipelineOf(device, kernel))).catch((error: unknown) => {
      for (const buffer of owned) memory.destroy(buffer);
      throw error;
    });
    const dispatches = kernels.map(({ resources, grid }, i) => {
      const { pipeline, layout } = made[i]!;
      counters.bindGroups++;
      return {
        pipeline,
        group: device.createBindGroup({
          layout,
          entries: [control, ...resources].map((resource, binding) => ({ binding, resource: { buffer: resource } })),
        }),
        grid,
      };
    });
    return new Sampler(memory, tokens, dispatches, owned);
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
    for (const buffer of this.#owned) this.#memory.destroy(buffer);
  }
}

/** A bit for each token that a row has: u32[rows, ⌈vocab / 32⌉]. */
function seenBits(prompt: SampledRows, vocab: number): Uint32Array<ArrayBuffer> {
  const words = Math.ceil(vocab / 32);
  const bits = new Uint32Array(prompt.rows * words);
  for (const [row, seen] of seenIn(prompt).entries())
    for (const token of seen) if (token < vocab) bits[row * words + (token >>> 5)]! |= 1 << (token & 31);
  return bits;
}

function pipelineOf(device: GPUDevice, { code, constants }: SamplerKernel): Promise<StepPipeline> {
  const access = [...code.matchAll(/@binding\(\d+\) var<storage, (\w+)>/g)].map(([, kind]) =>
    kind === 'read' ? 'read' : 'read_write',
  );
  return compiled(device, { label: 'sampling', code, access, constants });
}
