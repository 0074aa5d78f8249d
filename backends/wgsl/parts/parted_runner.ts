import type { DType } from '../../../ir/dtypes/index.ts';
import { isAsked, isEarlier, yetToBeTaken, type GraphRun } from '../../../ir/graph_run.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { asBackendError } from '../../as_backend_error.ts';
import type { Runner, RunOptions, TogetherOptions } from '../../backend.ts';
import type { DeviceFacts } from '../../device_facts.ts';
import { BackendError } from '../../error.ts';
import { bindSizes } from '../bind_sizes.ts';
import type { Phase, Plan } from '../bundle/plan.ts';
import { checkInputs, elementsOf, inputDtypesOf, phaseFor, phasesOf, tensorRead } from '../graph_ports.ts';
import type { Executor } from '../runtime/executor.ts';
import { sizeOf } from '../runtime/sizes.ts';
import { cutPhase, type Part } from './cut.ts';

/** A part on a device, with its own weights alone. */
export interface OpenPart {
  readonly executor: Executor;
  dispose(): void;
}

export interface PartedOptions {
  readonly plan: Plan;
  /** Puts a part of the plan on the device. */
  readonly openPart: (plan: Plan) => Promise<OpenPart>;
  /** Bytes of weights of a part. */
  readonly maxBytes: number;
  /** The device, for people. */
  readonly description: string;
  readonly device?: DeviceFacts;
}

type Sizes = Readonly<Record<string, number>>;

/** A run with the phase that its sizes choose, and what earlier parts left. */
interface Run {
  readonly number: number;
  readonly run: GraphRun;
  readonly sizes: Sizes;
  readonly phase: Phase;
  readonly buffers: Map<number, ArrayBuffer>;
  readonly results: Record<string, Tensor>;
}

/**
 * A bundle of which the device holds one part at a time: each phase is cut into parts, all runs go through a part, and
 * it is closed. What a part computes are the steps of the plan, by the kernels that the whole has; they never are on
 * the device together.
 */
export class PartedRunner implements Runner {
  readonly description: string;
  readonly device?: DeviceFacts;
  readonly inParts = true;
  readonly #options: PartedOptions;
  /** Calls are one after the other: each opens parts of its own. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: PartedOptions) {
    this.#options = options;
    if (options.device) this.device = options.device;
    this.description = `${options.description}, in parts`;
  }

  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    return inputDtypesOf(this.#options.plan, graph);
  }

  async run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    { stages = [] }: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    return (await this.runTogether(graph, [{ inputs, stages }]))[0]!;
  }

  async runTogether(
    graph: string,
    runs: readonly GraphRun[],
    options: TogetherOptions = {},
  ): Promise<readonly Readonly<Record<string, Tensor>>[]> {
    const all = this.#last.then(() => this.#runAll(graph, runs, options));
    this.#last = all.catch(() => undefined);
    return all.catch((error: unknown) => {
      throw asBackendError(error);
    });
  }

  async dispose(): Promise<void> {
    await this.#last;
  }

  async #runAll(
    graph: string,
    runs: readonly GraphRun[],
    { onProgress, signal, onGiven }: TogetherOptions,
  ): Promise<readonly Readonly<Record<string, Tensor>>[]> {
    const { plan, maxBytes } = this.#options;
    const bound = this.#bound(graph, runs);
    const work = groupsOf(bound).map((group) => ({
      group,
      parts: cutPhase(plan, group[0]!.phase, { linked: linksOf(group), maxBytes }),
    }));
    const total = work.reduce((sum, { parts }) => sum + parts.length, 0);
    let done = 0;
    const over = new Set<number>();
    for (const { group, parts } of work) {
      for (const [at, part] of parts.entries()) {
        signal?.throwIfAborted();
        const { executor, dispose } = await this.#options.openPart(part.plan);
        try {
          for (const run of group) {
            signal?.throwIfAborted();
            const before = new Map(run.buffers);
            Object.assign(run.results, await compute(executor, part, run, bound));
            for (const buffer of part.made) run.buffers.set(buffer, await executor.snapshot(buffer));
            const given = part.begins && run.run.given?.[part.begins.name];
            if (!onGiven || !given) continue;
            const onIt = await compute(executor, part, { ...run, buffers: before }, bound, given);
            for (const [name, value] of Object.entries(onIt)) onGiven(run.number, name, value);
          }
        } finally {
          dispose();
        }
        const kept = new Set(part.kept);
        for (const { buffers } of group)
          for (const buffer of buffers.keys()) if (!kept.has(buffer)) buffers.delete(buffer);
        const later = new Set(parts.slice(at + 1).flatMap(({ phase }) => phase.inputs.map(({ name }) => name)));
        const working = new Set(group.map(({ number }) => number));
        letGo(bound, (number, input) => (working.has(number) ? later.has(input) : !over.has(number)));
        onProgress?.(++done, total);
      }
      for (const { number } of group) over.add(number);
    }
    return bound.map(({ results }) => results);
  }

  /** Sizes of every run: of what an earlier one gives, as that one's sizes say. */
  #bound(graph: string, runs: readonly GraphRun[]): readonly Run[] {
    const { plan } = this.#options;
    const [general] = phasesOf(plan, graph);
    const bound: Run[] = [];
    for (const [number, run] of runs.entries()) {
      const { inputs } = run;
      checkInputs(graph, general, inputs);
      const shapes = Object.fromEntries(
        Object.entries(inputs).map(([name, input]) => [
          name,
          isEarlier(input) ? { shape: shapeOf(plan, bound[input.run], input.output) } : input,
        ]),
      );
      const sizes = bindSizes(plan, general, shapes, (name) => Number((inputs[name] as Tensor).data[0]));
      bound.push({ number, run, sizes, phase: phaseFor(plan, graph, sizes), buffers: new Map(), results: {} });
    }
    return bound;
  }
}

/** Outputs that are neither asked for nor yet to be taken go. */
function letGo(all: readonly Run[], isOpen: (run: number, input: string) => boolean): void {
  const taken = yetToBeTaken(
    all.map(({ run }) => run),
    isOpen,
  );
  for (const { number, run, phase, results } of all)
    for (const { name } of phase.outputs)
      if (!isAsked(run, name) && !run.stages?.includes(name) && !taken[number]!.has(name)) delete results[name];
}

/** Shape of an output of a run. @throws BackendError when no earlier run gives it */
function shapeOf({ symbols }: Plan, earlier: Run | undefined, output: string): readonly number[] {
  const value = earlier?.phase.outputs.find(({ name }) => name === output);
  if (!earlier || !value) throw new BackendError('bad-input', `no earlier run gives "${output}"`, { tensor: output });
  const values = symbols.map((symbol) => earlier.sizes[symbol] ?? 0);
  return value.shape.map((size) => sizeOf(size, values));
}

/**
 * Runs that go through the parts of a phase together, in an order in which what one gives is there before another takes
 * it.
 */
function groupsOf(runs: readonly Run[]): readonly (readonly Run[])[] {
  const groups: Run[][] = [];
  const placed = new Set<number>();
  while (placed.size < runs.length) {
    const open = runs.filter(({ number }) => !placed.has(number));
    const group: Run[] = [];
    for (const run of open) {
      if (run.phase !== open[0]!.phase) continue;
      const needed = earlierOf(run);
      if (!needed.every((number) => placed.has(number) || group.some((other) => other.number === number))) continue;
      group.push(run);
    }
    for (const { number } of group) placed.add(number);
    groups.push(group);
  }
  return groups;
}

function earlierOf({ run: { inputs } }: Run): readonly number[] {
  return Object.values(inputs).flatMap((input) => (isEarlier(input) ? [input.run] : []));
}

/** Inputs with the outputs of runs of the same group that come for them. */
function linksOf(group: readonly Run[]): ReadonlyMap<string, string> {
  const numbers = new Set(group.map(({ number }) => number));
  return new Map(
    group.flatMap(({ run: { inputs } }) =>
      Object.entries(inputs).flatMap(([name, input]) =>
        isEarlier(input) && numbers.has(input.run) ? [[name, input.output] as const] : [],
      ),
    ),
  );
}

/** Outputs and asked stages that a part makes; `given` stands in place of the stage that it begins with. */
async function compute(
  executor: Executor,
  { phase, carried, begins }: Part,
  { run, sizes, buffers }: Run,
  all: readonly Run[],
  given?: Tensor,
): Promise<Readonly<Record<string, Tensor>>> {
  executor.setSizes(sizes);
  await executor.reserve(phase);
  for (const buffer of carried) executor.restore(buffer, buffers.get(buffer)!);
  for (const value of phase.inputs) {
    const input = run.inputs[value.name]!;
    const tensor = isEarlier(input) ? all[input.run]!.results[input.output]! : input;
    executor.write(value.name, elementsOf(value, tensor));
  }
  if (given) executor.write(begins!.name, elementsOf(begins!, given));
  const { stages = [] } = run;
  const own = stages.filter((stage) => stage !== begins?.name && phase.stages.some(({ name }) => name === stage));
  const found = await executor.run(phase.name, { stages: own });
  const results: Record<string, Tensor> = {};
  for (const [name, read] of found) results[name] = tensorRead(read);
  for (const output of phase.outputs) results[output.name] = tensorRead(await executor.read(output));
  return results;
}
