import { describe, expect, test } from 'vitest';
import type { TfGraph, TfNode } from '../graph.ts';
import { KNOWN_OPS, PACKED_OP } from '../known_ops.ts';
import { checkOps } from './check_ops.ts';
import { kernelTable } from './kernel_table.ts';
import { opKernels } from './op_kernels.ts';

const float = { dtype: 'float32', rank: 2 } as const;
const graphOf = (node: Partial<TfNode>): TfGraph => ({
  name: 'g',
  inputs: [],
  outputs: [],
  stages: [],
  weights: [],
  nodes: [
    { name: 'lm.0.q', op: 'MatMul', inputs: ['a', 'b'], attrs: {}, inputTypes: [float, float], output: float, ...node },
  ],
});

test('every op that bundles may have is known, and so are its kernels', () => {
  const emitted = [...KNOWN_OPS].filter((op) => op !== 'Const' && op !== 'Placeholder' && op !== PACKED_OP);
  expect(emitted.toSorted()).toEqual(Object.keys(opKernels).toSorted());
  expect(() => checkOps(graphOf({}), 'std')).not.toThrow();
});

describe('what would fail when it is run fails when it is written, by name', () => {
  const expectRefusal = (
    node: Partial<TfNode>,
    message: RegExp,
    table = kernelTable,
    profile: 'std' | 'packed' = 'std',
  ) =>
    expect(() => checkOps(graphOf(node), profile, table)).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        place: { tensor: node.name ?? 'lm.0.q' },
        message: expect.stringMatching(message),
      }),
    );

  test('an op that the executor does not know', () =>
    expectRefusal(
      { op: 'Gelu' },
      /graph g, node lm\.0\.q: Gelu\(.*\) would fail when it is run: the executor of tfjs 4\.22\.0 does not know it/,
    ));
  test('one whose kernels are not known here', () => expectRefusal({ op: 'Einsum' }, /not known which kernels/));
  test('the packed op where nobody registers it', () =>
    expectRefusal({ op: PACKED_OP }, /the executor of tfjs 4\.22\.0 does not know it/));
  test('a kernel that a backend lacks', () => {
    const wasm = kernelTable.kernels.wasm.filter((kernel) => kernel !== 'BatchMatMul');
    expectRefusal({}, /the wasm backend of tfjs 4\.22\.0 has no kernel BatchMatMul/, {
      ...kernelTable,
      kernels: { ...kernelTable.kernels, wasm },
    });
  });
  test('a backend that the profile does not run on may lack it', () => {
    const webgl = kernelTable.kernels.webgl.filter((kernel) => kernel !== 'BatchMatMul');
    const table = { ...kernelTable, kernels: { ...kernelTable.kernels, webgl } };
    expectRefusal({}, /webgl/, table);
    expect(() => checkOps(graphOf({}), 'packed', table)).not.toThrow();
  });
  test.each<[Partial<TfNode>, RegExp]>([
    [
      { inputTypes: [{ dtype: 'int32', rank: 2 }, float] },
      /MatMul\(int32 of 2 axes, float32 of 2 axes\).*takes float32, not int32/,
    ],
    [{ op: 'LogicalAnd' }, /takes bool, not float32/],
    [{ op: 'SelectV2', inputTypes: [float, float, float] }, /condition of bool/],
    [{ op: 'GatherV2', inputTypes: [float, float] }, /indices of int32/],
    [{ op: 'TensorScatterUpdate', inputTypes: [float, float, float] }, /int32 indices/],
    [
      { op: 'Transpose', inputTypes: [{ dtype: 'float32', rank: 7 }], output: { dtype: 'float32', rank: 7 } },
      /no more than 6 axes, not 7/,
    ],
  ])('types that a kernel does not take: %j', (node, message) => expectRefusal(node, message));
});
