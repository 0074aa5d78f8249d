import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { sym } from '../../../ir/dim.ts';
import type { DType } from '../../../ir/dtypes/index.ts';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import { ops } from '../../../ir/ops/index.ts';
import { runPasses, splitLargeWeights } from '../../../ir/passes/index.ts';
import { tensorData, tensorOf } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { lowerGraph } from '../lower.ts';
import { open } from '../run.ts';
import { expectClose } from '../../testing/compare.ts';
import { emittedBundle } from '../testing/emitted_bundle.ts';
import { expectEqual, quantizedModel, SHAPES, SUMS } from '../testing/quantized_model.ts';
import { programOf } from '../../testing/tiny_program.ts';
import type { OnnxGraph, WeightInitializer } from './model.ts';

const weightsOf = ({ initializers }: OnnxGraph) =>
  initializers
    .filter((i): i is WeightInitializer => i.kind === 'weight')
    .map(({ name, data }) => [name, data.dtype, ...data.shape]);
const opsOf = ({ nodes }: OnnxGraph) => nodes.map((node) => node.opType);

describe('nbits', () => {
  it('MatMulNBits reads codes, scales and zero points as they lie; rows of 4-bit zero points begin a byte each', () => {
    const lowered = lowerGraph(
      quantizedModel({ dtype: 'u4', rows: 7, blocks: 3, block: 32, columns: 90, zeros: true }),
    );
    const product = lowered.nodes.find((node) => node.opType === 'MatMulNBits')!;
    expect(product).toMatchObject({ domain: 'com.microsoft', attributes: { K: 90, N: 7, bits: 4, block_size: 32 } });
    expect(product.attributes).not.toHaveProperty('accuracy_level');
    expect(weightsOf(lowered)).toEqual([
      ['codes', 'u8', 7, 3, 16],
      ['scales', 'f32', 7, 3],
      ['zeros', 'u8', 7, 2],
      ['codes_1', 'u4', 7, 96],
      ['zeros_1', 'u4', 7, 3],
    ]);
  });

  it('8 bits are halves of 4 bits where a CPU may run them, which has no fast kernel of 8', () => {
    const sizes = { dtype: 'u8', rows: 4, blocks: 3, block: 32, columns: 90 } as const;
    for (const target of ['portable', 'ort-cpu'] as const) {
      const lowered = lowerGraph(quantizedModel({ ...sizes, zeros: false }), { target });
      expect(opsOf(lowered).slice(0, 3)).toEqual(['MatMulNBits', 'Reshape', 'ReduceSum']);
      expect(lowered.nodes[0]!.attributes).toEqual({ K: 90, N: 8, bits: 4, block_size: 32 });
      expect(weightsOf(lowered).slice(0, 3)).toEqual([
        ['codes', 'u8', 8, 3, 16],
        ['scales', 'f32', 8, 3],
        ['codes.zeros', 'u8', 8, 2],
      ]);
    }
    for (const target of ['webgpu', 'ort-cuda'] as const)
      expect(
        lowerGraph(quantizedModel({ ...sizes, zeros: false }), { target })
          .nodes.filter((node) => node.opType === 'MatMulNBits')
          .map((node) => node.attributes['bits']),
      ).toEqual([8]);
  });

  it('accuracy level 4 is opt-in, and then 8 bits are one product', () => {
    const sizes = { dtype: 'u8', rows: 4, blocks: 2, block: 32, columns: 64, zeros: false } as const;
    expect(lowerGraph(quantizedModel(sizes), { accuracyLevel: 4 }).nodes[0]!.attributes).toMatchObject({
      bits: 8,
      accuracy_level: 4,
    });
  });

  it('a scale a row is repeated over the widest blocks that fill the row', () => {
    const lowered = lowerGraph(
      quantizedModel({ dtype: 'u8', rows: 4, blocks: 1, block: 384, columns: 384, zeros: false }),
      {
        target: 'webgpu',
      },
    );
    expect(opsOf(lowered)).toEqual(['MatMulNBits', 'GatherBlockQuantized']);
    expect(lowered.nodes[0]!.attributes).toMatchObject({ block_size: 128, K: 384 });
    expect(weightsOf(lowered)).toContainEqual(['scales', 'f32', 4, 3]);
  });

  it.each([
    { blocks: 2, block: 24, zeros: true },
    // they divide into blocks of the kernels, but not into those of one row
    { blocks: 2, block: 48, zeros: false },
    // zero points are not repeated
    { blocks: 1, block: 96, zeros: true },
  ])('blocks that the kernels do not have are dequantized by ONNX’s own ops: %j', ({ blocks, block, zeros }) => {
    const sizes = { dtype: 'u8', rows: 4, blocks, block, columns: blocks * block, zeros } as const;
    expect(opsOf(lowerGraph(quantizedModel(sizes)))).not.toContain('MatMulNBits');
  });
});

describe('qdq', () => {
  it.each([
    ['u8', 1, { axis: 0 }],
    ['u8', 2, { axis: 1, block_size: 32 }],
    ['u4', 2, { axis: 1, block_size: 32 }],
  ] as const)(
    '%s in %d blocks: DequantizeLinear and Gemm, no contrib op, no transpose',
    (dtype, blocks, attributes) => {
      const lowered = lowerGraph(
        quantizedModel({ dtype, rows: 4, blocks, block: 32, columns: 32 * blocks, zeros: false }),
        {
          quantizedOps: 'qdq',
        },
      );
      expect(lowered.nodes.every((node) => node.domain === '')).toBe(true);
      expect(lowered.nodes.find((node) => node.opType === 'DequantizeLinear')!.attributes).toEqual(attributes);
      expect(opsOf(lowered)).toContain('Gemm');
      expect(opsOf(lowered)).not.toContain('Transpose');
      // around 0: no zero points
      expect(weightsOf(lowered)[0]).toEqual(['codes', dtype === 'u4' ? 'i4' : 'i8', 4, 32 * blocks]);
    },
  );

  it('a table is not dequantized: its rows are taken first', () => {
    const lowered = lowerGraph(
      quantizedModel({ dtype: 'u4', rows: 9, blocks: 2, block: 32, columns: 64, zeros: true }),
      {
        quantizedOps: 'qdq',
      },
    );
    const made = new Set(
      lowered.nodes.filter((node) => node.opType === 'Gather').flatMap((node) => node.inputs.slice(0, 1)),
    );
    expect([...made].map((name) => weightsOf(lowered).find(([n]) => n === name))).toEqual([
      ['codes_1', 'u8', 9, 32],
      ['zeros_1', 'u8', 9, 2],
      ['scales', 'f32', 9, 2],
    ]);
  });
});

it('a computed code is refused by name', () => {
  const b = new GraphBuilder('g');
  const q = b.input('q', { dtype: 'u8', shape: [4, 1, 32] });
  b.output(
    'y',
    b.op(ops.dequantize, [q, b.weight('s', tensorData(randomTensor('f32', [4, 1], 1)))], {
      format: 'int8',
      columns: 32,
    }),
  );
  expect(() => lowerGraph(b.build())).toThrow('%q is computed');
});

it('zero points that are no codes are refused by every rule', () => {
  const b = new GraphBuilder('g');
  const weight = (name: string, dtype: 'u4' | 'f32', shape: number[]) =>
    b.weight(name, tensorData(tensorOf(dtype, shape, new Float32Array(shape.reduce((x, y) => x * y)))));
  const [q, scales, zeros] = [
    weight('q', 'u4', [4, 1, 32]),
    weight('scales', 'f32', [4, 1]),
    weight('zeros', 'f32', [4, 1]),
  ];
  b.output(
    'y',
    b.op(ops.quantized_linear, [b.input('x', { dtype: 'f32', shape: [1, 32] }), q, scales, zeros], {
      format: 'int4',
      columns: 32,
    }),
  );
  for (const quantizedOps of ['nbits', 'qdq'] as const)
    expect(() => lowerGraph(b.build(), { quantizedOps })).toThrow('zero points of f32');
});

it.each(['dequantize', 'quantized_linear', 'quantized_gather'] as const)('%s of a codebook is refused', (op) => {
  const b = new GraphBuilder('g');
  const q = b.weight('q', tensorData(tensorOf('u4', [4, 1, 64], new Float32Array(256))));
  const scales = b.weight('scales', tensorData(tensorOf('f32', [4, 1], new Float32Array(4))));
  const operands = {
    dequantize: () => [q, scales],
    quantized_linear: () => [b.input('x', { dtype: 'f32', shape: [1, 64] }), q, scales],
    quantized_gather: () => [q, b.input('ids', { dtype: 'i64', shape: [3] }), scales],
  }[op]();
  b.output('y', b.node(ops[op], operands, { format: 'nf4', columns: 64 })[0]!);
  const graph = b.build();
  for (const quantizedOps of ['nbits', 'qdq'] as const)
    expect(() => lowerGraph(graph, { quantizedOps })).toThrow('codes of nf4: those of ONNX are affine');
});

describe.each(SHAPES)('$rows × $columns of $dtype, block $block', (sizes) => {
  it('equals the evaluator on the cpu', async () => {
    for (const quantizedOps of ['nbits', 'qdq'] as const)
      await expectEqual(quantizedModel(sizes), { quantizedOps }, 'cpu');
  });
});

it('shards of codes equal the whole, in files of their own', async () => {
  const whole = quantizedModel({ dtype: 'u4', rows: 300, blocks: 5, block: 32, columns: 150, zeros: true });
  const program = programOf(runPasses(whole, [splitLargeWeights(8 * 1024)]));
  await using bundle = await emittedBundle(program, 'int4', 10_000);
  expect(bundle.artifact.files.filter((file) => file.path.includes('.onnx_data')).length).toBeGreaterThan(4);
  for (const file of bundle.artifact.files) expect(file.byteLength).toBeLessThanOrEqual(10_000 + 2000);
  const runner = await open(bundle.dir);
  const inputs = { x: randomTensor('f32', [2, 3, 150], 5), ids: tensorOf('i64', [2, 3], [0, 63, 64, 128, 250, 299]) };
  const [actual, expected] = [await runner.run('g', inputs), await evaluatorRunner(programOf(whole)).run('g', inputs)];
  for (const port of ['y', 'rows']) expectClose(port, actual[port], expected[port]!, SUMS);
  await runner.dispose();
});

it.each([
  ['f32', 4],
  ['f16', 2],
] as const)('scales are stored in the dtype of the activations: %s', (dtype: DType, bytes) => {
  const b = new GraphBuilder('g');
  const x = b.input('x', { dtype, shape: [sym('s'), 32] });
  b.output(
    'y',
    b.op(
      ops.quantized_linear,
      [
        x,
        b.weight('q', tensorData(randomTensor('u8', [64, 1, 32], 1))),
        b.weight('s', tensorData(randomTensor(dtype, [64, 1], 1))),
      ],
      { format: 'int8', columns: 32 },
    ),
  );
  const scales = lowerGraph(b.build(), { target: 'webgpu' }).initializers.find(
    (i) => i.name === 's',
  ) as WeightInitializer;
  expect(scales.data.byteLength).toBe(64 * bytes);
});
