import { describe, expect, it } from 'vitest';
import { parseDim } from '../../../ir/dim.ts';
import { GraphBuilder } from '../../../ir/builder.ts';
import { BackendError } from '../../error.ts';
import { LoweringContext } from './context.ts';

/** The nodes that compute `dim` from an i64 input of the given shape. */
function nodesFor(dim: string, ...inputs: readonly (readonly string[])[]): string[] {
  const b = new GraphBuilder('g');
  inputs.forEach((shape, i) => b.input(`x${i}`, { dtype: 'i64', shape: shape.map(parseDim) }));
  const context = new LoweringContext(b.build());
  context.dims.vector(parseDim(dim));
  context.dims.vector(parseDim(dim)); // computed once
  return context
    .finish()
    .nodes.map(
      ({ opType, inputs: from, attributes }) =>
        `${opType}(${from.join(', ')})${'start' in attributes ? ` axis ${Number(attributes['start'])}` : ''}`,
    );
}

describe('a symbolic size', () => {
  it('is read where an input has it', () => expect(nodesFor('s', ['b', 's'])).toEqual(['Shape(x0) axis 1']));

  it('is read as a whole where an input has the whole expression', () =>
    expect(nodesFor('p + s', ['s'], ['b', 'p + s'])).toEqual(['Shape(x1) axis 1']));

  it('is solved from an expression when no input has it alone', () => {
    expect(nodesFor('p', ['p + s'], ['s'])).toEqual(['Shape(x0) axis 0', 'Shape(x1) axis 0', 'Sub(size.p_s, size.s)']);
    expect(nodesFor('n', ['2*n + 1'])).toEqual(['Shape(x0) axis 0', 'Sub(size.2_n_1, ints_1)', 'Div(size.n, ints_2)']);
  });

  it('is combined from symbols', () =>
    expect(nodesFor('2*s + 3', ['s'])).toEqual(['Shape(x0) axis 0', 'Mul(size.s, ints_2)', 'Add(size.2_s_3, ints_3)']));

  it('that nothing tells is an error', () => {
    expect(() => nodesFor('q', ['s'])).toThrow(BackendError);
    expect(() => nodesFor('p', ['p + s'])).toThrow('"p"');
  });
});
