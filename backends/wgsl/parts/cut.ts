import { boundsOf } from '../../parts/bounds.ts';
import type { Phase, Plan, PlannedValue, Step } from '../bundle/plan.ts';

/** A run of consecutive steps of a phase, as a plan of its own, with what goes in and out of it. */
export interface Part {
  /** With the shards that its steps read and no others, and this phase alone. */
  readonly plan: Plan;
  readonly phase: Phase;
  /** Buffers that it reads of what earlier parts wrote. */
  readonly carried: readonly number[];
  /** Buffers that it writes and later parts read. */
  readonly made: readonly number[];
  /** Buffers that later parts read, of this part or of earlier ones. */
  readonly kept: readonly number[];
  /**
   * The stage that it begins with, when all else that it reads comes of the first part: whose value may be another's,
   * then.
   */
  readonly begins?: PlannedValue;
}

export interface CutOptions {
  /** Inputs with the outputs that later runs get for them. */
  readonly linked: ReadonlyMap<string, string>;
  readonly maxBytes: number;
}

/** A step and the buffers that it binds. */
interface Touch {
  readonly step: Step;
  readonly reads: readonly number[];
  readonly writes: readonly number[];
}

/**
 * A phase as parts that hold at most `maxBytes` of shards each, cut as `boundsOf` says. No cut lies between what reads
 * an input and what makes the output that a later run gets for it: all runs go through a part before the next.
 */
export function cutPhase(plan: Plan, phase: Phase, { linked, maxBytes }: CutOptions): readonly Part[] {
  const touches = phase.steps.map((step) => touchOf(plan, step));
  const stages = new Set(phase.stages.map(({ name }) => name));
  const bounds = boundsOf(
    phase.steps.map((step) => ({
      weights: shardsOf(plan, [step]),
      endsLayer: step.produces.some(({ name }) => stages.has(name)),
    })),
    {
      bytesOf: (shard) => plan.shards[Number(shard)]!.byteLength,
      isWhole: unbroken(phase, touches, linked),
      maxBytes,
    },
  );
  const liveness = new Liveness(touches);
  const last = bounds.length - 1;
  return bounds.map(([begin, end], number) => {
    const own = new Set(touches.slice(begin, end).flatMap(({ reads, writes }) => [...reads, ...writes]));
    const written = new Set(touches.slice(begin, end).flatMap(({ writes }) => writes));
    const kept = number === last ? [] : liveness.neededAt(end);
    const carried = liveness.neededAt(begin).filter((buffer) => own.has(buffer));
    // what no step writes is an input, and is given back at the end
    const outputs = phase.outputs.filter(({ buffer }) => {
      const at = liveness.lastWrite(buffer, touches.length);
      return at === undefined ? number === last : begin <= at && at < end;
    });
    const bound = new Set([...own, ...outputs.map(({ buffer }) => buffer)]);
    const inputs = phase.inputs.filter(
      ({ buffer }) => bound.has(buffer) && liveness.lastWrite(buffer, begin) === undefined,
    );
    const made = new Set(phase.steps.slice(begin, end).flatMap(({ produces }) => produces.map(({ name }) => name)));
    const begins = number === 0 ? undefined : beginningOf(phase, liveness, carried, { begin, first: bounds[0]![1] });
    const partPhase: Phase = {
      ...phase,
      steps: phase.steps.slice(begin, end),
      inputs,
      outputs,
      stages: phase.stages.filter(
        ({ name, buffer }) => made.has(name) || name === begins?.name || (number === 0 && isInput(phase, buffer)),
      ),
    };
    return {
      phase: partPhase,
      plan: subPlan(plan, partPhase),
      carried,
      made: kept.filter((buffer) => written.has(buffer)),
      kept,
      ...(begins && { begins }),
    };
  });
}

function isInput({ inputs }: Phase, buffer: number): boolean {
  return inputs.some((input) => input.buffer === buffer);
}

/** Buffers that hold something that is still to be read. A buffer holds one value after another. */
class Liveness {
  readonly #touches: readonly Touch[];

  constructor(touches: readonly Touch[]) {
    this.#touches = touches;
  }

  /** Those that steps before `at` wrote, and that hold something for the steps from there on. */
  neededAt(at: number): readonly number[] {
    const before = new Set(this.#touches.slice(0, at).flatMap(({ writes }) => writes));
    return [...before].filter((buffer) => this.#isNeeded(buffer, at)).sort((a, b) => a - b);
  }

  /** The last step before `at` that writes a buffer. */
  lastWrite(buffer: number, at: number): number | undefined {
    const found = this.#touches.slice(0, at).findLastIndex(({ writes }) => writes.includes(buffer));
    return found < 0 ? undefined : found;
  }

  /** The value that a buffer holds behind the step before `at`, where one was completed there. */
  heldAt(buffer: number, at: number): readonly string[] {
    const write = this.lastWrite(buffer, at);
    if (write === undefined) return [];
    return this.#touches[write]!.step.produces.flatMap((value) => (value.buffer === buffer ? [value.name] : []));
  }

  #isNeeded(buffer: number, at: number): boolean {
    const next = this.#touches.slice(at).find(({ reads, writes }) => reads.includes(buffer) || writes.includes(buffer));
    if (!next) return false;
    if (next.reads.includes(buffer)) return true;
    // it is written next: over another value, unless this one is not complete
    const last = this.#touches
      .slice(0, at)
      .findLast(({ reads, writes }) => reads.includes(buffer) || writes.includes(buffer))!;
    return last.writes.includes(buffer) && !last.step.produces.some((value) => value.buffer === buffer);
  }
}

function beginningOf(
  { stages }: Phase,
  liveness: Liveness,
  carried: readonly number[],
  { begin, first }: { readonly begin: number; readonly first: number },
): PlannedValue | undefined {
  const found = stages.filter(
    ({ name, buffer }) => carried.includes(buffer) && liveness.heldAt(buffer, begin).includes(name),
  );
  const [stage] = found;
  if (!stage || found.length > 1) return undefined;
  const others = carried.filter((buffer) => buffer !== stage.buffer);
  return others.every((buffer) => liveness.lastWrite(buffer, begin)! < first) ? stage : undefined;
}

function touchOf({ pipelines }: Plan, step: Step): Touch {
  const { access } = pipelines[step.pipeline]!;
  const bound = (wanted: string) =>
    step.bindings.flatMap(({ kind, index }, i) => (kind === 'buffer' && access[i] === wanted ? [index] : []));
  return { step, reads: bound('read'), writes: bound('read_write') };
}

function shardsOf({ weights }: Plan, steps: readonly Step[]): readonly number[] {
  const used = steps.flatMap(({ bindings }) =>
    bindings.flatMap(({ kind, index }) => (kind === 'weight' ? [weights[index]!.shard] : [])),
  );
  return [...new Set(used)].sort((a, b) => a - b);
}

/** A plan of one phase. Weights keep their places in the list; of those whose shards are not there, none is bound. */
function subPlan(plan: Plan, phase: Phase): Plan {
  const used = shardsOf(plan, phase.steps);
  return {
    ...plan,
    shards: used.map((shard) => plan.shards[shard]!),
    weights: plan.weights.map((weight) => ({ ...weight, shard: Math.max(0, used.indexOf(weight.shard)) })),
    phases: [phase],
  };
}

/** Whether a cut before a step would part what reads an input from what makes the output that comes for it. */
function unbroken(
  { inputs, outputs }: Phase,
  touches: readonly Touch[],
  linked: ReadonlyMap<string, string>,
): (at: number) => boolean {
  const bufferOf = (values: readonly PlannedValue[], name: string) =>
    values.find((value) => value.name === name)?.buffer;
  const ranges = [...linked].map(([input, output]) => {
    const [from, to] = [bufferOf(inputs, input), bufferOf(outputs, output)];
    return {
      first: touches.findIndex(({ reads, writes }) => [...reads, ...writes].some((buffer) => buffer === from)),
      made: touches.findLastIndex(({ writes }) => writes.some((buffer) => buffer === to)),
    };
  });
  return (at) => ranges.some(({ first, made }) => first >= 0 && first < at && at <= made);
}
