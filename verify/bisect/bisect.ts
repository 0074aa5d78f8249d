import { evaluateGraph } from '../../ir/evaluate.ts';
import type { Graph, Program, Value } from '../../ir/graph.ts';
import type { PassRun, Values } from '../../ir/passes/index.ts';
import type { OpName } from '../../ir/ops/index.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { VerifyCase } from '../cases.ts';
import { difference } from '../metrics.ts';
import { rowsOf } from '../rows.ts';
import { tolerancesOf } from '../tolerances.ts';
import { callsBehind } from './calls_behind.ts';
import { leadingCorner } from './leading_corner.ts';
import { recordedCalls, type Call } from './recorded_calls.ts';
import { differingRow, storedWeights, withStored } from './stored_weights.ts';

export interface BisectOptions {
  /** A family's f32 program. */
  readonly program: Program;
  /** Every pass that ran over it and what came of it, in order. */
  readonly runs: readonly PassRun[];
  /** Its first row is read. */
  readonly verifyCase: VerifyCase;
  /** Hears of looked-at and all passes that changed a graph. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What a pass did to the values of one graph. */
export interface PassVerdict {
  readonly pass: string;
  readonly graph: string;
  /** Whether it changed the graph; what it left as it was needs no look. */
  readonly changed: boolean;
  /** Runs of the graph that were compared: none where the row has no picture, or what is left as it was. */
  readonly calls: number;
  /** How far stages and outputs may be from what they were: relative L2, 0 where they must be the same. */
  readonly limit: number;
  /** How far they are at most. */
  readonly relativeL2: number;
  readonly passed: boolean;
}

/** Where a pass changed values. */
export interface PassFault {
  readonly pass: string;
  readonly graph: string;
  /** `vision`, `prefill`, `suffix` or `step`; absent for a weight, which is compared by itself. */
  readonly call?: string;
  /** The first stage or output that differs, or `weight <name>, row <n>`. */
  readonly place: string;
  /** The first value of that name in both graphs that differs, and the op that makes it behind the pass. */
  readonly value?: { readonly name: string; readonly op: OpName | 'input' };
  /** Relative L2; NaN where there is nothing to compare. */
  readonly relativeL2: number;
  readonly limit: number;
  /** For people: why there is nothing to compare. */
  readonly note?: string;
}

/** Which pass changed what a program computes. */
export interface Bisection {
  readonly case: string;
  /** In order, up to the first that changed values. */
  readonly passes: readonly PassVerdict[];
  /** Absent: every pass kept the values, so what differs came behind the last. */
  readonly fault?: PassFault;
}

type Place = Pick<PassFault, 'call' | 'place' | 'relativeL2' | 'limit' | 'note'>;

/**
 * Evaluates every graph before and behind each pass on the same inputs, which are those that the family's f32 program
 * gets while it reads one row, and compares stages and outputs: bit by bit, or within what the pass may round.
 * @throws what `signal` says
 */
export async function bisect(options: BisectOptions): Promise<Bisection> {
  const { program, runs, verifyCase, onProgress, signal } = options;
  const calls = await recordedCalls(program, verifyCase);
  const known = new Map<Graph, readonly Call[]>(
    program.graphs.map((graph) => [graph, calls.filter((call) => call.graph === graph.name)]),
  );
  const total = runs.filter(({ before, after }) => before !== after).length;
  const memory = new Memory(runs);
  const passes: PassVerdict[] = [];
  let done = 0;
  for (const [index, run] of runs.entries()) {
    signal?.throwIfAborted();
    const { pass, before, after } = run;
    const changed = before !== after;
    const limit = limitOf(run, program);
    const named = { pass: pass.name, graph: before.name };
    let looked: Looked = { relativeL2: 0 };
    let behind: readonly Call[] = [];
    if (changed) {
      onProgress?.(done, total);
      const given = known.get(before);
      if (!given) throw new Error(`pass ${pass.name} ran over a graph ${before.name} that no pass before it made`);
      behind = await callsBehind(run, given);
      known.set(after, behind);
      looked = await look(run, given, behind, limit, memory);
      onProgress?.(++done, total);
    }
    const { fault, relativeL2 } = looked;
    passes.push({ ...named, changed, calls: behind.length, limit, relativeL2, passed: !fault });
    if (fault) return { case: verifyCase.name, passes, fault: { ...named, ...fault } };
    memory.finished(index);
  }
  return { case: verifyCase.name, passes };
}

/** Results of graphs that later passes ask about again. */
class Memory {
  readonly #runs: readonly PassRun[];
  readonly #results = new Map<Graph, Map<string, Promise<Values>>>();

  constructor(runs: readonly PassRun[]) {
    this.#runs = runs;
  }

  resultsOf(graph: Graph, { name, inputs }: Call): Promise<Values> {
    const results = this.#results.get(graph) ?? new Map<string, Promise<Values>>();
    this.#results.set(graph, results);
    const found = results.get(name) ?? evaluateGraph(graph, inputs, { stages: graph.stages.map((port) => port.name) });
    results.set(name, found);
    return found;
  }

  /** Forgets what no pass behind the one of that index reads. */
  finished(index: number): void {
    const later = this.#runs.slice(index + 1);
    for (const graph of this.#results.keys())
      if (!later.some(({ before }) => before === graph)) this.#results.delete(graph);
  }
}

function limitOf({ pass: { rounds } }: PassRun, { metadata }: Program): number {
  if (rounds === undefined) return 0;
  const precision = { weights: 'fp32', f32: 'fp32', f16: 'fp16', bf16: 'bf16' } as const;
  return tolerancesOf(precision[rounds], metadata).stage.atMost!;
}

interface Looked {
  readonly fault?: Place & Pick<PassFault, 'value'>;
  readonly relativeL2: number;
}

async function look(
  { pass, before, after }: PassRun,
  given: readonly Call[],
  behind: readonly Call[],
  limit: number,
  memory: Memory,
): Promise<Looked> {
  const stored = pass.rounds === 'weights' ? storedWeights(before, after) : [];
  for (const weight of stored) {
    const row = await differingRow(weight);
    if (row)
      return {
        relativeL2: row.relativeL2,
        fault: { place: `weight ${row.name}, row ${row.row}`, relativeL2: row.relativeL2, limit: row.limit },
      };
  }
  const original = stored.length > 0 ? withStored(before, stored) : before;
  let worst = 0;
  for (const call of behind) {
    const call0 = given.find(({ name }) => name === call.name)!;
    const expected = await memory.resultsOf(original, call0);
    const compared = compare(call.name, before, expected, await memory.resultsOf(after, call), limit);
    if (!compared.passed) {
      const value = await firstValue([original, call0], [after, call], compared.place);
      return { relativeL2: compared.place.relativeL2, fault: { ...compared.place, ...(value && { value }) } };
    }
    worst = Math.max(worst, compared.place.relativeL2);
  }
  return { relativeL2: worst };
}

/** The first stage or output that is off, or the one that is furthest off. */
function compare(
  call: string,
  { stages, outputs }: Graph,
  expected: Values,
  actual: Values,
  limit: number,
): { readonly passed: boolean; readonly place: Place } {
  let worst: Place = { call, place: '', relativeL2: 0, limit };
  for (const { name } of [...stages, ...outputs]) {
    const found = distance(actual[name], expected[name]!);
    const place = { call, place: name, ...found, limit };
    if (!(found.relativeL2 <= limit)) return { passed: false, place };
    if (found.relativeL2 > worst.relativeL2) worst = place;
  }
  return { passed: true, place: worst };
}

function distance(actual: Tensor | undefined, expected: Tensor): Pick<Place, 'relativeL2' | 'note'> {
  const corner = actual && leadingCorner(actual, expected.shape);
  if (!corner)
    return {
      relativeL2: Number.NaN,
      note: actual
        ? `shape [${actual.shape.join(', ')}] instead of [${expected.shape.join(', ')}]`
        : 'it is gone behind the pass',
    };
  const { relativeL2, nonFinite } = difference(rowsOf(corner), rowsOf(expected));
  return { relativeL2: nonFinite > 0 ? Infinity : relativeL2 };
}

/** Bytes of values that are kept to be compared by name. */
const KEPT_BYTES = 512 * 2 ** 20;

/**
 * The first value that both graphs have by name and shape, that differs and goes into a stage or output. A pass may
 * give new values names that others had before: so results of an op of which it adds some are left out.
 */
async function firstValue(
  [before, given]: readonly [Graph, Call],
  [after, behind]: readonly [Graph, Call],
  { place, limit }: Place,
): Promise<PassFault['value']> {
  const expected = new Map<string, Tensor>();
  let bytes = 0;
  await evaluateGraph(before, given.inputs, {
    observe({ value, step, tensor }) {
      if (step !== undefined || bytes > KEPT_BYTES) return;
      bytes += tensor.data.byteLength;
      expected.set(value, tensor);
    },
  });
  const names = new Set([...valuesInto(after, place)].map(({ name }) => name));
  const counted = (graph: Graph, op: OpName) => graph.nodes.filter((node) => node.op === op).length;
  const isAdded = (op: OpName | 'input') => op !== 'input' && counted(after, op) > counted(before, op);
  let first: PassFault['value'];
  await evaluateGraph(after, behind.inputs, {
    observe({ value, op, step, tensor }) {
      const known = expected.get(value);
      if (
        first ||
        step !== undefined ||
        !names.has(value) ||
        isAdded(op) ||
        known?.shape.join() !== tensor.shape.join()
      )
        return;
      if (!(distance(tensor, known).relativeL2 <= limit)) first = { name: value, op };
    },
  });
  return first;
}

/** All that a stage or output is computed of, and itself. */
function valuesInto({ nodes, stages, outputs }: Graph, place: string): ReadonlySet<Value> {
  const port = [...stages, ...outputs].find(({ name }) => name === place);
  const values = new Set<Value>(port ? [port.value] : []);
  for (const node of nodes.toReversed())
    if (node.outputs.some((value) => values.has(value))) for (const value of node.inputs) values.add(value);
  return values;
}
