import { describe, expect, expectTypeOf, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { sym } from '../dim.ts';
import type { Composite } from '../op.ts';
import { isComposite, ops, type OpName } from './index.ts';
import { hasTrait, mapsFloats, nodeHasTrait, opsWith, type OpWith } from './traits.ts';

test('types of names are those that the declarations state', () => {
  expectTypeOf<OpWith<'size'>>().toEqualTypeOf<'dim_value' | 'iota'>();
  expectTypeOf<OpWith<'linear'>>().toEqualTypeOf<'linear' | 'quantized_linear'>();
  expectTypeOf<OpWith<'size' | 'lookup'>>().toEqualTypeOf<'dim_value' | 'iota' | 'gather' | 'quantized_gather'>();
  expectTypeOf<Extract<OpWith<'elementwise' | 'movement'>, 'softmax' | 'matmul'>>().toBeNever();
});

test('sets are those that the declarations state', () => {
  expect(opsWith('linear')).toEqual(['linear', 'quantized_linear']);
  expect(opsWith('elementwise')).toEqual(expect.arrayContaining(['add', 'cast', 'gelu_tanh', 'not', 'where']));
  expect(hasTrait('gather', 'movement')).toBe(true);
  expect(hasTrait('softmax', 'elementwise')).toBe(false);
});

test('comparisons and conversions of integers map no floats', () => {
  const b = new GraphBuilder('g');
  const [x, i] = [b.input('x', { dtype: 'f32', shape: [2] }), b.input('i', { dtype: 'i64', shape: [2] })];
  b.op(ops.mul, [x, x], {});
  b.op(ops.less_equal, [x, x], {});
  b.op(ops.add, [i, i], {});
  b.op(ops.cast, [i], { to: 'f32' });
  b.op(ops.softmax, [x], {});
  expect(b.build().nodes.map(mapsFloats)).toEqual([true, false, false, false, false]);
});

const composites = opsWith('elementwise').filter(isComposite);

describe.each(composites)('%s', (name) => {
  test('is made of elementwise ops alone', () => {
    const b = new GraphBuilder(name);
    const op = ops[name] as unknown as Composite;
    const inputs = op.operands.map((operand) => b.input(operand, { dtype: 'f32', shape: [sym('n'), 3] }));
    op.decompose(b, inputs, {});
    expect(b.build().nodes.filter((node) => !nodeHasTrait(node, 'elementwise'))).toEqual([]);
  });
});

describe.each(Object.keys(ops) as OpName[])('%s', (name) => {
  test('names operands of its own where it keeps some in f32', () => {
    const { operands, f32Operands = [] }: { operands: readonly string[]; f32Operands?: readonly string[] } = ops[name];
    expect(operands).toEqual(expect.arrayContaining([...f32Operands]));
  });
});
