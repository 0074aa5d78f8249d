import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { GraphProtoSchema, type GraphProto } from '../proto/onnx_pb.ts';
import { coarsest, precisionOf, roundedActivations } from './precision.ts';

/** A graph of nodes, each an op with the integers that it is given. */
function graphOf(...nodes: readonly (readonly [opType: string, attributes?: Readonly<Record<string, number>>])[]) {
  return create(GraphProtoSchema, {
    node: nodes.map(([opType, attributes = {}]) => ({
      opType,
      attribute: Object.entries(attributes).map(([name, value]) => ({ name, i: BigInt(value) })),
    })),
  });
}

test.each<[string, GraphProto, 'in blocks' | 'as a whole' | undefined]>([
  ['products of floats', graphOf(['MatMul']), undefined],
  ['codes that are made floats again', graphOf(['DequantizeLinear'], ['MatMul']), undefined],
  ['blocks of codes', graphOf(['MatMulNBits', { bits: 4 }]), undefined],
  ['the same with products of codes', graphOf(['MatMulNBits', { bits: 4, accuracy_level: 4 }]), 'in blocks'],
  ['ranges that are stored', graphOf(['QuantizeLinear'], ['MatMulInteger']), 'in blocks'],
  ['onnxruntime’s quantize_dynamic', graphOf(['DynamicQuantizeLinear'], ['MatMulInteger']), 'as a whole'],
  ['both', graphOf(['DynamicQuantizeMatMul'], ['MatMulNBits', { accuracy_level: 4 }]), 'as a whole'],
])('how activations are rounded by %s', (_, graph, expected) => {
  expect(roundedActivations([graphOf(['Add']), graph])).toBe(expected);
});

test('of several graphs the coarsest counts', () => {
  const int4 = precisionOf(graphOf(['MatMulNBits', { bits: 4 }]));
  const int8 = precisionOf(graphOf(['MatMulInteger']));
  expect([int4, int8]).toEqual(['int4', 'int8']);
  expect(coarsest(['fp32', int8])).toBe('int8');
  expect(coarsest([int4, 'fp16', int8])).toBe('int4');
});
