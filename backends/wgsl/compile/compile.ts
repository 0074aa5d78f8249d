import type { Program } from '../../../ir/graph.ts';
import type { PassListener } from '../../../ir/passes/index.ts';
import { CAPACITY, type Plan } from '../bundle/plan.ts';
import { nativeComposites } from '../../lowering.ts';
import { planMemory, type LoweredPhase } from './buffers.ts';
import { lowerPhase } from './lower_phase.ts';
import { lowering } from './lowering.ts';
import { isStep, phaseGraphs, symbolsIn } from './phases.ts';
import { planPhase, sizeBy } from './plan_phase.ts';
import { ShaderFiles, type ShaderSource } from './shader_files.ts';
import type { StoredWeight } from '../../weight_chunks.ts';
import { WeightStore } from './weight_store.ts';

export interface CompileOptions {
  /** Bytes that a kernel may bind: no weight range is larger. Default 128 MiB, which every WebGPU device has. */
  readonly bindingLimit?: number;
  /**
   * Whether products of few rows by codes may round activations to bytes, where a device multiplies those; default no.
   */
  readonly mayRound?: boolean;
  /** Hears of every pass. */
  readonly onPass?: PassListener;
}

/** A plan but for what follows from the files: where ranges lie in shards, and hashes. */
export interface CompiledProgram {
  readonly plan: Pick<Plan, 'symbols' | 'pipelines' | 'buffers' | 'phases'>;
  /** In the order of the plan's weight indices. */
  readonly weights: readonly StoredWeight[];
  /** In the order of the plan's shader indices. */
  readonly shaders: readonly ShaderSource[];
}

/** The composites that are kernels. */
export const native = nativeComposites(lowering);

/** WebGPU's default maxStorageBufferBindingSize. */
const BINDING_LIMIT = 128 * 1024 * 1024;

/**
 * Every graph as kernels, buffers and steps, for any sizes and, where it takes a sequence, for one new token. Pure: no
 * weight is read. @throws BackendError for what no kernel computes
 */
export function compile(
  program: Program,
  { bindingLimit = BINDING_LIMIT, mayRound = false, onPass }: CompileOptions = {},
): CompiledProgram {
  const store = new WeightStore(bindingLimit);
  const phases = phaseGraphs(program, native, onPass);
  const symbols = [
    ...new Set([
      ...phases.flatMap(({ graph }) => [...symbolsIn(graph)]),
      ...program.graphs.flatMap((graph) => [...symbolsIn(graph)]),
      CAPACITY,
    ]),
  ].sort();
  const symbol = (name: string): number => {
    const index = symbols.indexOf(name);
    if (index < 0) throw new Error(`no size is called ${name}`);
    return index;
  };
  const shaders = new ShaderFiles(symbols);
  // how kernels of steps want weights to lie decides how they lie; readers of the plan find what serves all sizes first
  const steps = phases.filter(isStep).map((phase) => lowerPhase(phase, store, mayRound));
  const lowered = [
    ...phases.filter((phase) => !isStep(phase)).map((phase) => lowerPhase(phase, store, mayRound)),
    ...steps,
  ];
  const memory = planMemory(lowered);
  const ranges = usedRanges(lowered);
  const planned = lowered.map((phase, i) =>
    planPhase(phase, memory.places[i]!, { symbol, shaders, range: (index) => ranges.indexOf(index) }),
  );
  const buffers = memory.buffers.map(({ label, role, sizes }) => ({
    label,
    role,
    sizes: sizes.map((factors) => ({ factors: factors.map((dim) => sizeBy(dim, symbol)), bytes: 4 })),
  }));
  return {
    plan: { symbols, pipelines: shaders.pipelines, buffers, phases: planned },
    weights: ranges.map((index) => store.ranges[index]!),
    shaders: shaders.shaders,
  };
}

/** Ranges that kernels read, in the order in which they first do. */
function usedRanges(phases: readonly LoweredPhase[]): readonly number[] {
  const all = phases.flatMap(({ dispatches }) =>
    dispatches.flatMap(({ operands }) =>
      operands.flatMap((operand) => (operand.kind === 'range' ? [operand.range] : [])),
    ),
  );
  return [...new Set(all)];
}
