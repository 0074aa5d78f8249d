import type { Node } from '../../../../ir/graph.ts';
import { nodeHasTrait, type NodeWith } from '../../../../ir/ops/traits.ts';
import { gatherKernel } from '../../kernels/gather.ts';
import { MOST_BINDINGS } from '../../kernels/kernel.ts';
import { EpilogueBuilder } from '../epilogue_builder.ts';
import { matrixOf, zeroRowsApart, type MatrixSource } from '../matrix_source.ts';
import { isFloatType, type PhaseContext } from '../phase_context.ts';
import { matchEpilogue } from '../epilogue.ts';

/** Rows of a table that is known, dequantized, with what is done to them: an embedding and its scale. */
export function gatherRegion(context: PhaseContext, node: Node): boolean {
  const root = node.outputs[0]!;
  const match = matchEpilogue(context, root, {
    isCore: (core): core is NodeWith<'lookup'> => tableOf(context, core) !== undefined,
    choose: (found) => found.slice(-1),
  });
  if (!match) return false;
  const [gather] = match.results as [NodeWith<'lookup'>];
  const table = tableOf(context, gather)!;
  const { placements, starts } = placed(context, table);
  if (placements.some(({ first }) => first !== 0)) return false;
  const ids = gather.inputs[1]!;
  const epilogues = new EpilogueBuilder();
  const epilogue = epilogues.build(match.epilogue, { columns: table.columns, offset: 0 });
  // beside ids and result
  const most = MOST_BINDINGS - 2 - epilogues.values.length;
  if (most < 1) return false;
  const operands = epilogues.values.map((value) => context.read(value));
  for (let i = 0; i < placements.length; i += most) {
    const group = placements.slice(i, i + most);
    const parts = group.map(({ count }, j) => ({ first: starts[i + j]!, count }));
    const kernel = gatherKernel({ rows: ids.type.shape, columns: table.columns, form: table.form, parts, epilogue });
    context.put({
      label: root.name,
      kernel,
      operands: [
        context.read(ids),
        ...group.map(({ range }) => ({ kind: 'range' as const, range })),
        ...operands,
        context.write(root),
      ],
    });
  }
  return true;
}

/** A table of floats that is known. */
function tableOf(context: PhaseContext, node: Node): MatrixSource | undefined {
  if (!nodeHasTrait(node, 'lookup')) return undefined;
  if (!isFloatType(node.outputs[0]!)) return undefined;
  return matrixOf(node, (value) => context.constantOf(value));
}

/** Where the rows lie: those of zeros at the end apart, so that the others may be those of a head. */
function placed(context: PhaseContext, table: MatrixSource) {
  const placements = zeroRowsApart(table).flatMap((part) => context.store.place(part));
  let next = 0;
  const starts = placements.map(({ count }) => {
    next += count;
    return next - count;
  });
  return { placements, starts };
}
