import { expect, test } from 'vitest';
import { onnx } from '../../backends/onnx/index.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { sym } from '../../ir/dim.ts';
import type { Program } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { runPasses } from '../../ir/passes/index.ts';
import { printGraph } from '../../ir/print.ts';
import { tensorData } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import {
  helpOf,
  isQuantized,
  narrowingFor,
  passesFor,
  PRECISIONS,
  programsFor,
  formatFor,
  type PrecisionOptions,
} from '../precision/precision.ts';

/** Two products, one after the other, over a table. */
function model() {
  const b = new GraphBuilder('g');
  const ids = b.input('ids', { dtype: 'i64', shape: [1, sym('s')] });
  const weight = (name: string, ...shape: number[]) => b.weight(name, tensorData(randomTensor('f32', shape, 1)));
  const rows = b.op(ops.gather, [weight('table', 40, 64), ids], {});
  const hidden = b.op(ops.linear, [rows, weight('a', 64, 64), weight('bias', 64)], {});
  b.output('y', b.op(ops.linear, [hidden, weight('b', 40, 64)], {}));
  return b.build();
}

const run = (precision: Parameters<typeof passesFor>[0], options?: PrecisionOptions) =>
  runPasses(model(), passesFor(precision, options));
const weightsOf = (graph: ReturnType<typeof run>) =>
  Object.fromEntries(
    graph.constants.flatMap((c) => (c.kind === 'weight' ? [[c.value.name, `${c.data.dtype}[${c.data.shape}]`]] : [])),
  );

test('every precision says whether it quantizes, and what by', () => {
  expect(PRECISIONS.map((precision) => [precision, isQuantized(precision), formatFor(precision)])).toEqual([
    ['fp32', false, undefined],
    ['fp16', false, undefined],
    ['bf16', false, undefined],
    ['int8', true, 'int8'],
    ['int4', true, 'int4'],
    ['nf4', true, 'nf4'],
    ['q4f16', true, 'int4'],
  ]);
});

test('int8: blocks of 32 around 128, scales in f32', () => {
  expect(weightsOf(run('int8'))).toEqual({
    'table.codes': 'u8[40,2,32]',
    'table.scales': 'f32[40,2]',
    'a.codes': 'u8[64,2,32]',
    'a.scales': 'f32[64,2]',
    bias: 'f32[64]',
    'b.codes': 'u8[40,2,32]',
    'b.scales': 'f32[40,2]',
  });
});

test('nf4: blocks of 64, the last one filled up, without zero points, also where zero points may be floats', () => {
  const codes = {
    'table.codes': 'u4[40,1,64]',
    'table.scales': 'f32[40,1]',
    'a.codes': 'u4[64,1,64]',
    'a.scales': 'f32[64,1]',
    bias: 'f32[64]',
    'b.codes': 'u4[40,1,64]',
    'b.scales': 'f32[40,1]',
  };
  expect(weightsOf(run('nf4'))).toEqual(codes);
  expect(weightsOf(run('nf4', { algorithm: 'search', backend: { floatZeros: true } }))).toEqual(codes);
});

test('int8 per channel: a scale a row; 4-bit matrices keep their blocks', () => {
  const weights = weightsOf(
    run('int4', { perChannel: true, storageOf: ({ name }) => (name === 'b' ? 'int8' : 'int4') }),
  );
  expect(weights).toMatchObject({
    'b.codes': 'u8[40,1,64]',
    'b.scales': 'f32[40,1]',
    'a.codes': 'u4[64,2,32]',
    'a.zeros': 'u4[64,2]',
  });
});

test('q4f16: scales and products in f16, what was asked to stay f32 in f32', () => {
  const graph = run('q4f16', { storageOf: ({ name }) => (name === 'b' ? 'fp32' : name === 'a' ? 'fp16' : 'int4') });
  expect(weightsOf(graph)).toEqual({
    'table.codes': 'u4[40,2,32]',
    'table.scales': 'f16[40,2]',
    'table.zeros': 'u4[40,2]',
    'a.f16': 'f16[64,64]',
    bias: 'f16[64]',
    b: 'f32[40,64]',
  });
  expect(
    graph.nodes.filter((node) => node.op !== 'cast').map((node) => `${node.op} ${node.outputs[0]!.type.dtype}`),
  ).toEqual(['quantized_gather f16', 'linear f16', 'linear f32']);
});

test('int4 with fp16 for some: stored in 16 bits, computed in f32', () => {
  const graph = run('int4', { storageOf: () => 'fp16' });
  expect(weightsOf(graph)).toEqual({
    'table.f16': 'f16[40,64]',
    'a.f16': 'f16[64,64]',
    bias: 'f32[64]',
    'b.f16': 'f16[40,64]',
  });
  expect(
    graph.nodes.filter((node) => node.op === 'linear').every((node) => node.outputs[0]!.type.dtype === 'f32'),
  ).toBe(true);
});

test('the reference of a quantized bundle is the same codes in f32; that of others the program itself', () => {
  const program = { graphs: [model()] } as unknown as Program;
  expect(programsFor(program, 'fp16').reference).toBe(program);
  const { reference, bundle } = programsFor(program, 'q4f16');
  const codesOf = ({ graphs: [graph] }: Program) =>
    graph!.constants.flatMap((c) => (c.kind === 'weight' && c.value.name.endsWith('.codes') ? [c.data] : []));
  expect(reference.graphs[0]!.nodes.every((node) => node.outputs[0]!.type.dtype === 'f32')).toBe(true);
  expect(codesOf(bundle)).toHaveLength(3);
  expect(codesOf(bundle).every((data, i) => data === codesOf(reference)[i])).toBe(true);
  expect(printGraph(bundle.graphs[0]!)).toBe(printGraph(run('q4f16')));
});

test('another quantizer gets the matrix and its name', () => {
  const asked: string[] = [];
  const quantize: NonNullable<PrecisionOptions['quantize']> = (data, scheme, name) => {
    asked.push(`${name} ${data.shape} ${scheme.format} ${scheme.algorithm}`);
    return {
      q: tensorData(randomTensor('u4', [data.shape[0]!, 2, 32], 1)),
      scales: tensorData(randomTensor('f32', [data.shape[0]!, 2], 1)),
    };
  };
  run('int4', { quantize, algorithm: 'rtn' });
  expect(asked).toEqual(['table 40,64 int4 rtn', 'a 64,64 int4 rtn', 'b 40,64 int4 rtn']);
});

test('bf16 is for targets that have it, and refused with the reason by others', () => {
  expect(() => narrowingFor('bf16', onnx, 'portable')).toThrow(
    expect.objectContaining({
      code: 'unsupported_precision',
      exitCode: 2,
      message: expect.stringMatching(/bf16.*(CPU|WebGPU)/),
    }),
  );
  expect(narrowingFor('bf16', onnx, 'ort-cpu')).toBe('store');
  expect(narrowingFor('fp16', onnx, 'portable')).toBe('compute');
  expect(narrowingFor('int4', onnx, 'portable')).toBeUndefined();
});

test('a target that only stores narrow floats widens them; codes stay as they are', () => {
  expect(weightsOf(run('bf16', { narrowing: 'store' }))).toMatchObject({ 'a.bf16': 'bf16[64,64]', bias: 'f32[64]' });
  expect(printGraph(run('q4f16', { narrowing: 'store' }))).toBe(printGraph(run('int4')));
});

test('a backend with float zero points gets them, and weights beyond its limit in parts', () => {
  const backend = { floatZeros: true, maxWeightBytes: 52 * 32 };
  const weights = weightsOf(run('int4', { backend }));
  expect(weights).toMatchObject({
    'a.codes.0': 'u4[52,2,32]',
    'a.scales.0': 'f32[52,2]',
    'a.zeros.0': 'f32[52,2]',
    'a.codes.1': 'u4[12,2,32]',
    'table.zeros': 'f32[40,2]',
    'b.zeros': 'f32[40,2]',
  });
  expect(weightsOf(run('q4f16', { backend: { floatZeros: true } }))).toMatchObject({
    'a.scales': 'f16[64,2]',
    'a.zeros': 'f16[64,2]',
  });
  expect(weightsOf(run('fp16', { narrowing: 'store', backend }))).toMatchObject({
    'a.f16.0': 'f16[12,64]',
    'table.f16.1': 'f16[12,64]',
  });
});

test('a precision that the backend does not have is refused whatever the target', () => {
  const backend = {
    name: 'x',
    refusal: (precision: string) =>
      precision === 'int8' ? { reason: 'there are no bytes', instead: 'int4' } : undefined,
    narrowing: () => 'store' as const,
  };
  expect(() => narrowingFor('int8', backend)).toThrow(
    expect.objectContaining({
      code: 'unsupported_precision',
      message: 'x has no int8: there are no bytes',
      place: { hint: 'choose int4' },
    }),
  );
  expect(narrowingFor('bf16', backend)).toBe('store');
  expect(narrowingFor('int4', backend)).toBeUndefined();
});

test('q4f16: what calibration keeps is f32 before its bias, too', () => {
  const keep = new Map([['g', { values: new Set(['linear']), ops: new Set<string>() }]]);
  const dtypeOf = (graph: ReturnType<typeof run>) =>
    Object.fromEntries(graph.nodes.flatMap((node) => node.outputs.map(({ name, type }) => [name, type.dtype])));
  expect(dtypeOf(run('q4f16'))).toMatchObject({ 'linear.product': 'f16', linear: 'f32', linear_1: 'f16' });
  expect(dtypeOf(run('q4f16', { keep }))).toMatchObject({ 'linear.product': 'f32', linear: 'f32', linear_1: 'f32' });
});

test('more bits and codes that data chose help, and what chose none does not', () => {
  expect(helpOf('none', new Set())).toBe('none');
  expect(helpOf('auto', new Set())).toBe('mixed or calibrated');
  expect(helpOf('none', new Set(['lm.0.q']))).toBe('mixed or calibrated');
  expect(helpOf('none', 'unknown')).toBe('mixed or calibrated');
});
