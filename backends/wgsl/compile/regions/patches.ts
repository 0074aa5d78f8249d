import type { Dim } from '../../../../ir/dim.ts';
import type { Node, Value } from '../../../../ir/graph.ts';
import { windowsKernel } from '../../kernels/conv2d.ts';
import { gemmKernel } from '../../kernels/gemm.ts';
import type { Operand } from '../dispatch.ts';
import { EpilogueBuilder } from '../epilogue_builder.ts';
import { convMatrix, convSpec } from '../convolution.ts';
import { patchesOf } from '../patches.ts';
import type { PhaseContext } from '../phase_context.ts';

/** A picture as a sequence of patches: its windows as rows, and their product by the weights. */
export function patchesRegion(context: PhaseContext, node: Node): boolean {
  const root = node.outputs[0]!;
  const conv = patchesOf(context, root);
  const matrix = conv && convMatrix(context, conv);
  if (!conv || !matrix || !context.store.fits(matrix)) return false;
  const [x, , bias] = conv.inputs as readonly [Value, Value, Value];
  const [batch, positions, outputs] = root.type.shape as readonly [Dim, Dim, number];
  const [placement] = context.store.place(matrix) as [ReturnType<typeof context.store.place>[0]];
  const windows: Operand = {
    kind: 'scratch',
    scratch: { label: `${root.name}.windows`, sizes: [batch, positions, matrix.columns] },
  };
  const epilogues = new EpilogueBuilder();
  const epilogue = epilogues.build(
    {
      kind: 'op',
      op: 'add',
      operands: [
        { kind: 'result', index: 0 },
        { kind: 'operand', value: bias, by: 'column' },
      ],
    },
    { columns: outputs, offset: 0 },
  );
  const product = gemmKernel({
    rows: [batch, positions],
    columns: matrix.columns,
    matrices: [{ form: matrix.form, outputs: placement.outputs }],
    results: [{ kind: 'plain', parts: [{ matrix: 0, first: placement.first, count: placement.count }], epilogue }],
  });
  context.put({
    label: root.name,
    kernel: product,
    operands: [windows, { kind: 'range', range: placement.range }, context.read(bias), context.write(root)],
  });
  context.put({
    label: `${root.name}.windows`,
    kernel: windowsKernel(convSpec(conv)),
    operands: [context.read(x), windows],
  });
  return true;
}
