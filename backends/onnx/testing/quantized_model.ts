import { GraphBuilder } from '../../../ir/builder.ts';
import { sym } from '../../../ir/dim.ts';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import type { Graph } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { tensorData, tensorOf } from '../../../ir/tensor.ts';
import { affineFormat } from '../../../ir/testing/affine_format.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { expectClose } from '../../testing/compare.ts';
import { programOf } from '../../testing/tiny_program.ts';
import { open } from '../run.ts';
import type { OnnxOptions } from '../target.ts';
import { emittedBundle } from './emitted_bundle.ts';

export interface Sizes {
  readonly dtype: 'u4' | 'u8';
  readonly rows: number;
  readonly blocks: number;
  readonly block: number;
  readonly columns: number;
  readonly zeros: boolean;
}

/** x · codesᵀ, and rows of the same codes. */
export function quantizedModel({ dtype, rows, blocks, block, columns, zeros }: Sizes): Graph {
  const count = dtype === 'u4' ? 16 : 256;
  const codes = (shape: number[], seed: number) =>
    tensorData(
      tensorOf(
        dtype,
        shape,
        randomTensor('f32', shape, seed).data.map((x) => Math.floor(((x + 1) * count) / 2)),
      ),
    );
  const b = new GraphBuilder('g');
  const x = b.input('x', { dtype: 'f32', shape: [sym('b'), sym('s'), columns] });
  const ids = b.input('ids', { dtype: 'i64', shape: [sym('b'), sym('s')] });
  const scales = tensorData(
    tensorOf(
      'f32',
      [rows, blocks],
      randomTensor('f32', [rows, blocks], 2).data.map((v) => v / count),
    ),
  );
  const [q, ...factors] = [
    b.weight('codes', codes([rows, blocks, block], 1)),
    b.weight('scales', scales),
    ...(zeros ? [b.weight('zeros', codes([rows, blocks], 3))] : []),
  ];
  const attrs = { format: affineFormat(dtype), columns };
  b.output('y', b.op(ops.quantized_linear, [x, q, ...factors], attrs));
  b.output('rows', b.op(ops.quantized_gather, [q, ids, ...factors], attrs));
  return b.build();
}

/** Sums of a thousand products in f32 with weights up to 1: the order of the sum moves the last bits. */
export const SUMS = { absolute: 2e-5, relative: 2e-5 };
/** Kernels have variants for few and many rows, and for widths that their tiles divide. */
export const SHAPES: readonly Sizes[] = [
  { dtype: 'u4', rows: 64, blocks: 16, block: 32, columns: 512, zeros: true },
  { dtype: 'u4', rows: 65, blocks: 9, block: 32, columns: 285, zeros: true },
  { dtype: 'u8', rows: 64, blocks: 16, block: 32, columns: 512, zeros: false },
  { dtype: 'u8', rows: 71, blocks: 5, block: 32, columns: 151, zeros: true },
  { dtype: 'u8', rows: 67, blocks: 1, block: 1152, columns: 1152, zeros: false },
];

/** Both products of a model in a bundle on a device are those of the evaluator. */
export async function expectEqual(
  graph: Graph,
  options: Omit<OnnxOptions, 'precision'>,
  device: string,
): Promise<void> {
  const program = programOf(graph);
  await using bundle = await emittedBundle(program, 'fp32', undefined, options);
  const runner = await open(bundle.dir, { device });
  for (const [b, s] of [
    [1, 1],
    [2, 17],
  ] as const) {
    const columns = graph.inputs[0]!.type.shape[2] as number;
    const inputs = {
      x: randomTensor('f32', [b, s, columns], 5),
      ids: tensorOf(
        'i64',
        [b, s],
        Array.from({ length: b * s }, (_, i) => (i * 37) % 64),
      ),
    };
    const [actual, expected] = [await runner.run('g', inputs), await evaluatorRunner(program).run('g', inputs)];
    for (const port of ['y', 'rows'])
      expectClose(
        `${port} of ${b} × ${s}`,
        actual[port],
        expected[port]!,
        port === 'y' ? SUMS : { absolute: 0, relative: 0 },
      );
  }
  await runner.dispose();
}
