import { describe, expect, test } from 'vitest';
import { evaluatorKernels } from '../../backends/onnx/evaluator_kernels.ts';
import { evaluatorRunner, type Kernel, type Kernels, type Operand } from '../../ir/evaluate.ts';
import type { RawTensor } from '../../ir/op.ts';
import { ops } from '../../ir/ops/index.ts';
import { readTensor, type Tensor } from '../../ir/tensor.ts';
import { syntheticCases } from '../../verify/cases.ts';
import { runCase } from '../../verify/run_case.ts';
import { openModel } from '../models/open_model.ts';

/** What the order of a sum may change in float64, of the sum of the magnitudes (issue 18). */
const ORDER = 1e-12;

/** How far two numbers lie apart in f32, in numbers between them. */
function apart(a: number, b: number): number {
  const bits = new Int32Array(Float32Array.of(a, b).buffer);
  const [x, y] = [...bits].map((word) => (word < 0 ? -2147483648 - word : word)) as [number, number];
  return Math.abs(x - y);
}

interface Seen {
  products: number;
  beyond: number;
  notNeighbours: number;
}

/** Each kernel beside the definition, on the operands that it gets in a model. */
function held(kernels: Kernels, seen: Seen): Kernels {
  const beside = (name: 'linear' | 'matmul' | 'conv2d', kernel: Kernel): Kernel => {
    const define = ops[name].evaluate as (inputs: readonly Tensor[], attrs: object, sizes: object) => RawTensor[];
    return async (operands, attrs) => {
      const values = await Promise.all(operands.map(valuesOf));
      const [expected] = define(values, attrs, new Map());
      const magnitudes = values.map((value) => ({ ...value, data: value.data.map(Math.abs) }));
      const [size] = define(magnitudes, attrs, new Map());
      const [actual] = await kernel(operands, attrs);
      expect(actual!.shape).toEqual(expected!.shape);
      seen.products++;
      for (const [i, value] of expected!.data.entries()) {
        if (!(Math.abs(actual!.data[i]! - value) <= ORDER * size!.data[i]!)) seen.beyond++;
        if (apart(actual!.data[i]!, value) > 1) seen.notNeighbours++;
      }
      return [expected!];
    };
  };
  return {
    linear: beside('linear', kernels.linear!),
    matmul: beside('matmul', kernels.matmul!),
    conv2d: beside('conv2d', kernels.conv2d!),
  };
}

async function valuesOf(operand: Operand): Promise<Tensor> {
  return 'chunks' in operand ? readTensor(operand) : operand;
}

describe.each(['pg1-tiny', 'pg2-tiny'])('products of %s by ONNX Runtime', (fixture) => {
  test('are those of the definition, and round to the same or the next number', async () => {
    const { model, close } = await openModel({ checkpoint: `fixtures/${fixture}/hf` });
    const { program } = model;
    const seen: Seen = { products: 0, beyond: 0, notNeighbours: 0 };
    const kernels = held(await evaluatorKernels(), seen);
    const runner = evaluatorRunner(program, 'beside the definition', { kernels });
    const [verifyCase] = syntheticCases(program.metadata);
    await runCase({ runner, metadata: program.metadata }, verifyCase!);
    expect(seen.products).toBeGreaterThan(50);
    expect(seen).toMatchObject({ beyond: 0, notNeighbours: 0 });
    await close();
  });
});
