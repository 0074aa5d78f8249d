import type { Node, Value } from '../../../../ir/graph.ts';
import { gemmKernel } from '../../kernels/gemm.ts';
import { MOST_BINDINGS } from '../../kernels/kernel.ts';
import { bindingCount, type LinearResult, type LinearSpec } from '../../kernels/linear.ts';
import { matvecKernel } from '../../kernels/matvec.ts';
import type { Operand } from '../dispatch.ts';
import { EpilogueBuilder } from '../epilogue_builder.ts';
import { hasFewRows, inputOf, linearMatrix, rowsOfInput, type LinearInput, type LinearNode } from '../linears.ts';
import { sameForm } from '../matrix_source.ts';
import type { PhaseContext } from '../phase_context.ts';
import { headsBeside, headsTarget, plainTarget, type Target } from '../targets.ts';
import type { Placement } from '../weight_store.ts';

/**
 * Linear layers with all that can be done with their results in registers. For few rows one kernel computes all heads
 * that read one vector.
 */
export function linearRegion(context: PhaseContext, node: Node): boolean {
  const root = node.outputs[0]!;
  const heads = context.isStep ? headsTarget(context, root) : undefined;
  if (heads && hasWholeMatrix(context, heads)) {
    const beside = headsBeside(context, heads).filter((target) => hasWholeMatrix(context, target));
    const targets = [...beside, heads].toSorted((a, b) => order(context, a) - order(context, b));
    joinMatrices(context, targets);
    for (const group of fitting(context, targets)) putKernel(context, group);
    return true;
  }
  const target =
    plainTarget(context, root, { choose: (found) => choose(context, found) }) ??
    plainTarget(context, root, { choose: (found) => found.slice(-1) });
  if (!target) return false;
  joinMatrices(context, [target]);
  if (target.linears.length === 1 && placementsOf(context, target.linears[0]).length > 1) {
    placementsOf(context, target.linears[0]).forEach((_, shard) => putKernel(context, [target], shard));
    return true;
  }
  if (bindings(context, [target]) > MOST_BINDINGS) return false;
  putKernel(context, [target]);
  return true;
}

/**
 * Of layers in one expression: for few rows those that read one vector, which share its norm; else the last, whose
 * kernel has one matrix.
 */
function choose(context: PhaseContext, found: readonly LinearNode[]): readonly LinearNode[] {
  const last = found.at(-1);
  if (!last || !hasFewRows(context, last.inputs[0]!)) return last ? [last] : [];
  const together = found.filter((node) => node.inputs[0] === last.inputs[0]);
  const matrices = together.map((node) => linearMatrix(context, node)!);
  return together.length <= 2 &&
    matrices.every((matrix) => context.store.fits(matrix) && sameForm(matrix.form, matrices[0]!.form))
    ? together
    : [last];
}

/** Heads do not end where a matrix is cut. */
function hasWholeMatrix(context: PhaseContext, { linears: [linear] }: Target): boolean {
  return context.store.fits(linearMatrix(context, linear)!);
}

/** Layers in the order of the graph, so that their rows lie so. */
function order(context: PhaseContext, target: Target): number {
  return context.phase.graph.nodes.indexOf(target.linears[0]);
}

function joinMatrices(context: PhaseContext, targets: readonly Target[]): void {
  context.store.join(targets.flatMap((target) => target.linears.map((linear) => linearMatrix(context, linear)!)));
}

function placementsOf(context: PhaseContext, node: LinearNode): readonly Placement[] {
  return context.store.place(linearMatrix(context, node)!);
}

/** As few kernels as have room for the bindings. */
function fitting(context: PhaseContext, targets: readonly Target[]): readonly (readonly Target[])[] {
  const groups: Target[][] = [];
  for (const target of targets) {
    const last = groups.at(-1);
    if (last && bindings(context, [...last, target]) <= MOST_BINDINGS && sameRope([...last, target])) last.push(target);
    else groups.push([target]);
  }
  return groups;
}

/** One table of angles and one list of positions serve all that a kernel rotates. */
function sameRope(targets: readonly Target[]): boolean {
  const ropes = targets.flatMap((target) => (target.kind === 'plain' || !target.rope ? [] : [target.rope]));
  return ropes.every((rope) => [1, 2, 3].every((i) => rope.inputs[i] === ropes[0]!.inputs[i]));
}

function bindings(context: PhaseContext, targets: readonly Target[]): number {
  return bindingCount(specOf(context, targets, 0).spec);
}

interface BuiltSpec {
  readonly spec: LinearSpec;
  readonly input: LinearInput;
  readonly matrices: readonly Placement[];
  readonly epilogues: EpilogueBuilder;
}

/** @param shard which of the ranges of a matrix that is cut into several */
function specOf(context: PhaseContext, targets: readonly Target[], shard: number): BuiltSpec {
  const x = targets[0]!.linears[0].inputs[0]!;
  const input = inputOf(context, x);
  const matrices: Placement[] = [];
  const epilogues = new EpilogueBuilder();
  const partOf = (linear: LinearNode) => {
    const placement = placementsOf(context, linear)[shard]!;
    const known = matrices.findIndex((other) => other.range === placement.range);
    return {
      matrix: known >= 0 ? known : matrices.push(placement) - 1,
      first: placement.first,
      count: placement.count,
    };
  };
  const results = targets.map((target): LinearResult => {
    const parts = target.linears.map(partOf);
    if (target.kind === 'plain') return plainResult(context, target, parts, shard, epilogues);
    const [part] = parts as [(typeof parts)[0]];
    if (target.kind === 'rope') {
      const [heads, headDim] = target.root.type.shape.slice(2) as [number, number];
      return { kind: 'rope', part, heads, headDim, scale: target.scale };
    }
    const [batch, seq, heads, headDim] = target.append.inputs[1]!.type.shape as readonly [
      LinearSpec['rows'][0],
      LinearSpec['rows'][0],
      number,
      number,
    ];
    return { kind: 'append', part, heads, headDim, rotated: target.rope !== undefined, batch, seq };
  });
  const [{ columns }] = matrices as [Placement];
  const spec = {
    rows: rowsOfInput(x),
    columns,
    ...(input.norm && { norm: { epsilon: input.norm.epsilon } }),
    matrices: matrices.map(({ form, outputs }) => ({ form, outputs })),
    results,
    mayRound: context.mayRound,
  };
  return { spec, input, matrices, epilogues };
}

function plainResult(
  context: PhaseContext,
  { linears, epilogue }: Extract<Target, { kind: 'plain' }>,
  parts: Extract<LinearResult, { kind: 'plain' }>['parts'],
  shard: number,
  epilogues: EpilogueBuilder,
): LinearResult {
  const all = placementsOf(context, linears[0]);
  const stride = linears[0].outputs[0]!.type.shape.at(-1) as number;
  const offset = all.slice(0, shard).reduce((sum, { count }) => sum + count, 0);
  const isWhole = all.length === 1;
  return {
    kind: 'plain',
    parts,
    epilogue: epilogues.build(epilogue, { columns: stride, offset }),
    ...(!isWhole && { stride, offset }),
  };
}

function putKernel(context: PhaseContext, targets: readonly Target[], shard = 0): void {
  const { spec, input, matrices, epilogues } = specOf(context, targets, shard);
  const rope = targets.flatMap((target) => (target.kind === 'plain' || !target.rope ? [] : [target.rope]))[0];
  const isFew = hasFewRows(context, targets[0]!.linears[0].inputs[0]!);
  const operands: readonly Operand[] = [
    context.read(input.x),
    ...(input.norm ? [context.read(input.norm.scale)] : []),
    ...matrices.map(({ range }): Operand => ({ kind: 'range', range })),
    ...(rope ? ropeOperands(context, rope.inputs) : []),
    ...epilogues.values.map((value) => context.read(value)),
    ...targets.map(({ root }) => context.write(root)),
  ];
  context.put({
    label: targets.map(({ root }) => root.name).join(' + '),
    kernel: isFew ? matvecKernel(spec) : gemmKernel(spec),
    operands,
  });
}

/** Positions, and the table of angles. */
function ropeOperands(context: PhaseContext, [, positions, cos, sin]: readonly Value[]): readonly Operand[] {
  const range = context.store.rope(cos!.name, context.constantOf(cos!)!.data, context.constantOf(sin!)!.data);
  return [context.read(positions!), { kind: 'range', range }];
}
