import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { GraphBuilder } from './builder.ts';
import { checkGraph, checkProgram } from './check.ts';
import { sym } from './dim.ts';
import { IrError } from './error.ts';
import type { Graph, Program } from './graph.ts';
import { ops } from './ops/index.ts';
import { parseGraph } from './parse.ts';
import { bytesData, tensorOf } from './tensor.ts';
import { tensorType } from './type.ts';

/** Each file states its error in its first line. */
const INVALID = new URL('../fixtures/invalid/', import.meta.url);

test.each(readdirSync(INVALID))('%s', (file) => {
  const text = readFileSync(new URL(file, INVALID), 'utf8');
  const expected = /^\/\/ error: (.*)\n/.exec(text)![1]!;
  expect(() => checkGraph(parseGraph(text))).toThrow(new IrError(expected));
});

function valid(): Graph {
  const b = new GraphBuilder('g');
  const x = b.input('x', tensorType('f32', [sym('seq'), 2]));
  const w = b.weight('w', bytesData('f32', [2, 2], new Uint8Array(16)));
  b.output('y', b.op(ops.mul, [b.op(ops.linear, [x, w], {}), b.literal('f32', [], [2])], {}));
  return b.build();
}

test('a built graph is valid', () => {
  expect(() => checkGraph(valid())).not.toThrow();
});

test('a size may be 0', () => {
  const b = new GraphBuilder('g');
  b.output('y', b.op(ops.tanh, [b.input('x', tensorType('f32', [0, 2]))], {}));
  expect(() => checkGraph(b.build())).not.toThrow();
});

/** Faults that text cannot express. */
test.each<[string, (graph: Graph) => Graph, string]>([
  [
    'nodes out of order',
    (g) => ({ ...g, nodes: g.nodes.toReversed() }),
    'graph g, %mul = mul: operand %linear is not defined before it',
  ],
  [
    'a node twice',
    (g) => ({ ...g, nodes: [...g.nodes, g.nodes[0]!] }),
    'graph g, %linear = linear: the name %linear is taken',
  ],
  [
    'a weight whose data is another type',
    (g) => ({
      ...g,
      constants: [
        { kind: 'weight', value: g.constants[0]!.value, data: bytesData('f16', [2, 2], new Uint8Array(8)) },
        g.constants[1]!,
      ],
    }),
    'graph g, weight %w: its type is f32[2, 2], its data f16[2, 2]',
  ],
  [
    'a weight with too few bytes',
    (g) => ({
      ...g,
      constants: [
        {
          kind: 'weight',
          value: g.constants[0]!.value,
          data: { ...bytesData('f32', [2, 2], new Uint8Array(16)), byteLength: 12 },
        },
        g.constants[1]!,
      ],
    }),
    'graph g, weight %w: its data has 12 bytes where f32[2, 2] has 16',
  ],
  [
    'a literal that is no f32',
    (g) => ({
      ...g,
      constants: [
        g.constants[0]!,
        {
          kind: 'literal',
          value: g.constants[1]!.value,
          tensor: { dtype: 'f32', shape: [], data: Float64Array.of(0.1) },
        },
      ],
    }),
    'graph g, literal %c: value 0.1 is no f32',
  ],
  [
    'a literal with a value too many',
    (g) => ({
      ...g,
      constants: [
        g.constants[0]!,
        { kind: 'literal', value: g.constants[1]!.value, tensor: { ...tensorOf('f32', [2], [1, 2]), shape: [] } },
      ],
    }),
    'graph g, literal %c: it has 2 values where f32[] has 1',
  ],
  [
    'an output that does not exist',
    (g) => ({ ...g, outputs: [{ name: 'y', value: { ...g.outputs[0]!.value } }] }),
    'graph g, output "y": %mul does not exist',
  ],
  [
    'a stage that does not exist',
    (g) => ({ ...g, stages: [{ name: 's', value: { name: 'gone', type: tensorType('f32', []) } }] }),
    'graph g, stage "s": %gone does not exist',
  ],
  [
    'a fractional size',
    (g) => ({ ...g, inputs: [{ name: 'x', type: tensorType('f32', [1.5]) }] }),
    'graph g, input %x: %x: f32[1.5] has a dimension that is no size',
  ],
  [
    'an operand too many',
    (g) => ({ ...g, nodes: [{ ...g.nodes[0]!, inputs: Array(4).fill(g.inputs[0]!) }] }),
    'graph g, %linear = linear: linear takes (x, weight, bias?), not 4 operands',
  ],
  [
    'an attribute too many',
    (g) => ({ ...g, nodes: [{ ...g.nodes[0]!, attrs: { axis: 1 } } as unknown as Graph['nodes'][0]] }),
    'graph g, %linear = linear: linear has no attribute axis',
  ],
])('%s', (_, break_, message) => {
  expect(() => checkGraph(break_(valid()))).toThrow(new IrError(message));
});

test('two graphs of one name', () => {
  expect(() => checkProgram({ graphs: [valid(), valid()] } as unknown as Program)).toThrow(
    new IrError('there are two graphs named g'),
  );
});
