import type { DType } from '../../ir/dtypes/index.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import { BackendError } from '../error.ts';
import type { ElementType, Phase, Plan, PlannedValue } from './bundle/plan.ts';
import type { ReadTensor } from './runtime/executor.ts';
import type { Elements } from './runtime/layout.ts';

/** What the outside calls elements that the device has in 32 bits. */
const DTYPES: Readonly<Record<ElementType, DType>> = { f32: 'f32', i32: 'i64', bool: 'bool' };

/** Phases of a graph, that for all sizes first. @throws BackendError `bad-input` for a graph that is not there */
export function phasesOf({ phases }: Plan, graph: string): readonly [Phase, ...Phase[]] {
  const [first, ...rest] = phases.filter((phase) => phase.graph === graph);
  if (!first) throw new BackendError('bad-input', `the bundle has no graph "${graph}"`);
  return [first, ...rest];
}

/** Dtypes of a graph's inputs by name. */
export function inputDtypesOf(plan: Plan, graph: string): Readonly<Record<string, DType>> {
  return Object.fromEntries(phasesOf(plan, graph)[0].inputs.map(({ name, type }) => [name, DTYPES[type]]));
}

/** The phase of a graph that is compiled for the most of these sizes. */
export function phaseFor(plan: Plan, graph: string, sizes: Readonly<Record<string, number>>): Phase {
  return phasesOf(plan, graph)
    .toSorted((a, b) => b.fixed.length - a.fixed.length)
    .find((candidate) => fits(candidate, plan.symbols, sizes))!;
}

/** Whether a phase is for these sizes. One for a new token appends it to a cache. */
function fits({ fixed }: Phase, symbols: readonly string[], sizes: Readonly<Record<string, number>>): boolean {
  return (
    fixed.length === 0 || (sizes['past'] !== 0 && fixed.every(({ symbol, value }) => sizes[symbols[symbol]!] === value))
  );
}

/** @throws BackendError for inputs that a graph needs and that are not given */
export function checkInputs(graph: string, { inputs }: Phase, given: Readonly<Record<string, unknown>>): void {
  for (const { name } of inputs)
    if (!given[name]) throw new BackendError('bad-input', `graph ${graph} needs the input "${name}"`, { tensor: name });
}

/** @throws BackendError for numbers that 32 bits do not hold, and for another dtype */
export function elementsOf({ name, type }: PlannedValue, { dtype, data }: Tensor): Elements {
  const isInteger = dtype === 'i64' || dtype === 'i32';
  if (type === 'f32' ? dtype !== 'f32' && dtype !== 'f16' : type === 'i32' ? !isInteger : dtype !== 'bool')
    throw new BackendError('bad-input', `input "${name}" is ${dtype}, not ${DTYPES[type]}`, { tensor: name });
  if (type === 'f32') return Float32Array.from(data);
  if (type === 'bool') return Uint32Array.from(data);
  const outside = data.find((x) => x < -(2 ** 31) || x >= 2 ** 31);
  if (outside !== undefined)
    throw new BackendError('bad-input', `input "${name}" holds ${outside}, which 32 bits do not`, { tensor: name });
  return Int32Array.from(data);
}

/** What was read back, as the outside has it. */
export function tensorRead({ type, shape, data }: ReadTensor): Tensor {
  return tensorOf(DTYPES[type], shape, data);
}
