import { symbolsOf, type Dim } from '../../../ir/dim.ts';
import type { Port, Value } from '../../../ir/graph.ts';
import type { Binding, Extent, Phase, PlannedValue, ScalarSymbol, Size, Step } from '../bundle/plan.ts';
import type { GridAxis } from '../kernels/kernel.ts';
import { growingAxis } from '../kernels/wgsl_text.ts';
import { inPlacePorts, type LoweredPhase } from './buffers.ts';
import type { Dispatch, Operand, Scratch } from './dispatch.ts';
import { typeOf } from './expression.ts';
import { unsupported } from './phase_context.ts';
import { memoryOf } from './schedule.ts';
import type { ShaderFiles } from './shader_files.ts';

/** What the plan of a phase refers to. */
export interface PlanTables {
  /** Index of a symbol in the plan's list. */
  symbol(name: string): number;
  readonly shaders: ShaderFiles;
  /** Index of a range of the store in the plan's list. */
  range(index: number): number;
}

/** A phase as data: sizes, bindings and grids by index. */
export function planPhase(
  { phase, dispatches, rootOf }: LoweredPhase,
  places: ReadonlyMap<Value | Scratch, number>,
  { symbol, shaders, range }: PlanTables,
): Phase {
  const { graph } = phase;
  const sizeOf = (dim: Dim): Size => sizeBy(dim, symbol);
  const place = (memory: Value | Scratch): number => {
    const index = places.get(memory);
    if (index === undefined)
      throw new Error(`%${'name' in memory ? memory.name : memory.label} has no buffer in ${phase.name}`);
    return index;
  };
  const valueOf = (name: string, value: Value): PlannedValue => {
    const growing = growingAxis(value.type.shape);
    return {
      name,
      type: typeOf(value),
      shape: value.type.shape.map(sizeOf),
      ...(growing !== undefined && { growing }),
      buffer: place(rootOf(value)),
    };
  };
  const extent = ({ factors, divide }: GridAxis): Extent => ({ factors: factors.map(sizeOf), divide });
  const named = [...graph.stages, ...graph.outputs];
  const produces = lastWrites(dispatches);
  const step = (dispatch: Dispatch, i: number): Step => ({
    label: dispatch.label,
    pipeline: shaders.pipeline(dispatch.kernel),
    bindings: dispatch.operands.map((operand: Operand): Binding => {
      if (operand.kind === 'range') return { kind: 'weight', index: range(operand.range) };
      return { kind: 'buffer', index: place(operand.kind === 'value' ? operand.value : operand.scratch) };
    }),
    grid: dispatch.kernel.grid.map(extent) as unknown as Step['grid'],
    produces: produces[i]!.flatMap((value) =>
      namesOf(value, named, rootOf).map((port) => valueOf(port.name, port.value)),
    ),
  });
  return {
    name: phase.name,
    graph: graph.name,
    fixed: Object.entries(phase.fixed).map(([name, value]) => ({ symbol: symbol(name), value })),
    scalars: graph.nodes.flatMap((node): ScalarSymbol[] => {
      if (node.op !== 'take_last') return [];
      const [x, count] = node.inputs as readonly [Value, Value];
      if (!graph.inputs.includes(count)) return unsupported(node.outputs[0]!, 'take_last by a count that is no input');
      return [
        {
          symbol: symbol(symbolsOf(node.attrs.kept)[0]!),
          input: count.name,
          whenZero: sizeOf(x.type.shape[node.attrs.axis]!),
        },
      ];
    }),
    inputs: graph.inputs.map((input) => valueOf(input.name, input)),
    outputs: graph.outputs.map(({ name, value }) => valueOf(name, value)),
    inPlace: inPlacePorts(phase),
    stages: graph.stages.map(({ name, value }) => valueOf(name, value)),
    steps: dispatches.map(step),
  };
}

/** A dim as the plan has it, its symbols by index. */
export function sizeBy(dim: Dim, symbol: (name: string) => number): Size {
  if (typeof dim === 'number') return { constant: dim, terms: [] };
  return { constant: dim.offset, terms: dim.terms.map(([name, factor]) => ({ symbol: symbol(name), factor })) };
}

/** For each dispatch, the values that are whole once it has run. */
function lastWrites(dispatches: readonly Dispatch[]): readonly (readonly Value[])[] {
  const last = new Map<Value | Scratch, number>();
  dispatches.forEach((dispatch, i) => {
    for (const memory of memoryOf(dispatch, 'read_write')) last.set(memory, i);
  });
  return dispatches.map((_, i) => [...last].flatMap(([memory, at]) => (at === i && 'type' in memory ? [memory] : [])));
}

/** The names by which the outside knows what a value's memory holds; its own name where there are none. */
function namesOf(value: Value, ports: readonly Port[], rootOf: (value: Value) => Value): readonly Port[] {
  const known = ports.filter(
    (port, i) => rootOf(port.value) === value && ports.findIndex(({ name }) => name === port.name) === i,
  );
  return known.length > 0 ? known : [{ name: value.name, value }];
}
