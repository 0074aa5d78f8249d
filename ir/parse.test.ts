import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkGraph } from './check.ts';
import { IrError } from './error.ts';
import type { Constant } from './graph.ts';
import { parseGraph } from './parse.ts';
import { printGraph } from './print.ts';
import { sameGraph } from './same_graph.ts';
import { readBytes } from './tensor.ts';
import { randomGraph } from './testing/random_graph.ts';

test('parseGraph(printGraph(g)) is g', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 60 }), (numbers) => {
      const graph = randomGraph(numbers);
      const weights = new Map(
        graph.constants
          .filter((c): c is Constant & { kind: 'weight' } => c.kind === 'weight')
          .map((c) => [c.value.name, c.data]),
      );
      const text = printGraph(graph);
      const parsed = parseGraph(text, { weight: ({ name }) => weights.get(name)! });
      checkGraph(parsed);
      expect(sameGraph(parsed, graph)).toBe(true);
      expect(printGraph(parsed)).toBe(text);
    }),
    { numRuns: 300 },
  );
});

test.each([
  [
    'f32',
    [Number.NaN, Infinity, -Infinity, 0, -0, 2 ** -149, 3.4028234663852886e38, Math.fround(0.1), Math.fround(1 / 3)],
  ],
  ['f16', [65504, 2 ** -24, -0, Number.NaN, 0.0999755859375]],
  ['bf16', [3.3895313892515355e38, 2 ** -133, 0.10009765625]],
  ['i64', [9007199254740991, -9007199254740991, 0]],
  ['u4', [0, 15]],
  ['bool', [0, 1]],
] as const)('every %s literal reads back exactly', (dtype, values) => {
  const text = `graph g {\n  literal %c: ${dtype}[${values.length}] = [${values
    .map((x) => (Object.is(x, -0) ? '-0' : String(x)))
    .join(', ')
    .replaceAll('NaN', 'nan')
    .replaceAll('Infinity', 'inf')}]\n}\n`;
  const graph = parseGraph(text);
  const [constant] = graph.constants as [Constant & { kind: 'literal' }];
  expect([...constant.tensor.data].every((x, i) => Object.is(x, values[i]))).toBe(true);
  expect(sameGraph(parseGraph(printGraph(graph)), graph)).toBe(true);
});

test('the shortest decimals are printed', () => {
  expect(
    printGraph(parseGraph('graph g { literal %c: f32[3] = [0.1, 1e-6, 0.333333333] literal %s: f16[] = -1e-07 }')),
  ).toBe('graph g {\n  literal %c: f32[3] = [0.1, 0.000001, 0.33333334]\n  literal %s: f16[] = -1e-7\n}\n');
});

test.each([
  ['//', '"//"'],
  ['//a', '"//a"'],
  ['a//b', '"a//b"'],
  ['a//', '"a//"'],
  ['/a/b-0.c/', '/a/b-0.c/'],
  ['', '""'],
  ['a"b', '"a\\"b"'],
  ['a b', '"a b"'],
  ['}', '"}"'],
])('the name %j reads back, of graphs, values, ports and files', (name, printed) => {
  const type = { dtype: 'f32' as const, shape: [2] };
  const data = { ...type, byteLength: 8, from: { file: name, key: name, byteOffset: 0 }, async *chunks() {} };
  const weight = { name, type };
  const graph = {
    name,
    inputs: [],
    constants: [{ kind: 'weight' as const, value: weight, data }],
    nodes: [],
    outputs: [{ name, value: weight }],
    stages: [{ name, value: weight }],
  };
  const text = printGraph(graph);
  expect(text).toContain(`graph ${printed} {`);
  expect(text).toContain(`weight %${printed}: f32[2]`);
  expect(sameGraph(parseGraph(text), graph)).toBe(true);
});

test('a comment ends a name, however close', () => {
  expect(printGraph(parseGraph('graph g//a\n{ input %x//b\n: f32[2] output "y" = %x//c\n}'))).toBe(
    'graph g {\n  input %x: f32[2]\n  output "y" = %x\n}\n',
  );
});

test('a weight read from text says that it has no bytes', async () => {
  const graph = parseGraph('graph g { weight %w: i4[3] from "a.npz" "k" at 12 }');
  const { data } = graph.constants[0] as Constant & { kind: 'weight' };
  expect(data).toMatchObject({
    dtype: 'i4',
    shape: [3],
    byteLength: 2,
    from: { file: 'a.npz', key: 'k', byteOffset: 12 },
  });
  await expect(readBytes(data)).rejects.toThrow(IrError);
  await expect(readBytes(data)).rejects.toThrow(/weight %w was read from text/);
});

test.each([
  ['graph g {\n  input %x: f31[2]\n}', 'line 2, column 13: "f31" is not a dtype'],
  ['graph g {\n  input %x: f32[2\n}', 'line 3, column 1: expected "]", not "}"'],
  [
    'graph g {\n  input %x: f32[a*b]\n}',
    'line 2, column 17: "a*b" is not a dimension: expected e.g. 12, seq, past + 8*seq - 1',
  ],
  ['graph g {\n  %y: f32[2] = sqrt %y\n}', 'line 2, column 22: %y is not defined before this'],
  ['graph g {\n  input %x: f32[2]\n  input %x: f32[2]\n}', 'line 3, column 10: the name %x is taken'],
  ['graph g {\n  input %x: f32[2]\n  %y: f32[2] = sqrt %x, %x\n}', 'line 3, column 16: sqrt takes (x), not 2 operands'],
  ['graph g {\n  %y: i64[2] = iota {length = 2, size = 3}\n}', 'line 2, column 34: iota has no attribute size'],
  [
    'graph g {\n  %y: i64[2] = iota {length = 2.5}\n}',
    'line 2, column 31: "2.5" is not a dimension: expected e.g. 12, seq, past + 8*seq - 1',
  ],
  ['graph g {\n  %y: i64[2] = iota\n}', 'line 2, column 16: iota needs the attribute length'],
  ['graph g {\n  literal %c: f32[2] = [1]\n}', 'line 2, column 24: 1 values for shape [2]'],
  ['graph g {\n  literal %c: f32[n] = [1]\n}', 'line 2, column 11: a constant has no symbolic dimensions'],
  [
    'graph g {\n  outptu "y" = %x\n}',
    'line 2, column 3: expected input, weight, literal, %result, stage, output or "}", not "outptu"',
  ],
  ['graph g {\n', 'line 2, column 1: expected input, weight, literal, %result, stage, output or "}", not the end'],
  ['graph g {\n  output "\\x" = %x\n}', 'line 2, column 10: "\\x" is not a valid string'],
])('%j is refused with its place', (text, message) => {
  expect(() => parseGraph(text)).toThrow(new IrError(message));
});
