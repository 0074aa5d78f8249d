import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { GraphProtoSchema, type GraphProto } from '../proto/onnx_pb.ts';
import { cutGraph } from './cut.ts';

/**
 * Layers that read x and a weight of 100 bytes each, a value that all of them share, and a head in shards of 60 bytes.
 */
function graph({ layers = 4, shards = 2 } = {}): GraphProto {
  const weight = (name: string, length: number) => ({
    name,
    externalData: [
      { key: 'location', value: 'w' },
      { key: 'length', value: String(length) },
    ],
  });
  const node = (output: string, ...input: string[]) => ({ opType: 'X', input, output: [output] });
  const nodes = [node('mask', 'past.0'), node('in.0', 'x')];
  for (let i = 0; i < layers; i++)
    nodes.push(
      node(`qkv.${i}`, `in.${i}`, `w.${i}`, 'mask'),
      node(`present.${i}`, `past.${i}`, `qkv.${i}`),
      node(`in.${i + 1}`, `qkv.${i}`, `present.${i}`, `v.${i}`),
    );
  for (let i = 0; i < shards; i++) nodes.push(node(`shard.${i}`, `in.${layers}`, `head.${i}`));
  nodes.push(node('logits', ...Array.from({ length: shards }, (_, i) => `shard.${i}`)));
  return create(GraphProtoSchema, {
    node: nodes,
    initializer: [
      ...Array.from({ length: layers }, (_, i) => [weight(`w.${i}`, 50), weight(`v.${i}`, 50)]).flat(),
      ...Array.from({ length: shards }, (_, i) => weight(`head.${i}`, 60)),
    ],
    input: ['x', ...Array.from({ length: layers }, (_, i) => `past.${i}`)].map((name) => ({ name })),
    output: ['logits', ...Array.from({ length: layers }, (_, i) => `present.${i}`)].map((name) => ({ name })),
  });
}

const stages = new Set(['in.1', 'in.2', 'in.3', 'in.4']);
const linked = new Map([0, 1, 2, 3].map((i) => [`past.${i}`, `present.${i}`]));
const made = (whole: GraphProto, parts: ReturnType<typeof cutGraph>) =>
  parts.map(({ begin, end }) => whole.node.slice(begin, end).map(({ output }) => output[0]));

describe('a graph in parts', () => {
  test('is cut behind stages, and between shards', () => {
    const whole = graph();
    const parts = cutGraph(whole, { stages, linked, maxBytes: 100 });
    expect(made(whole, parts)).toEqual([
      ['mask', 'in.0', 'qkv.0', 'present.0', 'in.1'],
      ['qkv.1', 'present.1', 'in.2'],
      ['qkv.2', 'present.2', 'in.3'],
      ['qkv.3', 'present.3', 'in.4'],
      ['shard.0'],
      ['shard.1', 'logits'],
    ]);
    expect(parts.map(({ bytes }) => bytes)).toEqual([100, 100, 100, 100, 60, 60]);
    expect(parts[1]).toMatchObject({
      inputs: ['in.1', 'mask', 'past.1'],
      outputs: ['present.1', 'in.2'],
      initializers: ['w.1', 'v.1'],
    });
    expect(parts[5]).toMatchObject({ inputs: ['in.4', 'shard.0'], outputs: ['logits'] });
  });

  test('has as many layers in a part as fit', () => {
    const whole = graph();
    expect(made(whole, cutGraph(whole, { stages, linked, maxBytes: 250 })).map((part) => part.at(-1))).toEqual([
      'in.2',
      'in.4',
      'logits',
    ]);
  });

  test('is cut within a layer that is too large', () => {
    const whole = graph({ layers: 2, shards: 1 });
    const parts = cutGraph(whole, { stages: new Set(), linked: new Map(), maxBytes: 60 });
    expect(made(whole, parts)).toEqual([
      ['mask', 'in.0', 'qkv.0', 'present.0'],
      ['in.1'],
      ['qkv.1', 'present.1'],
      ['in.2'],
      ['shard.0', 'logits'],
    ]);
  });

  test('is not cut between what reads a cache and what makes the next', () => {
    const early = graph({ layers: 2, shards: 1 });
    early.node[0]!.input.push('w.0', 'v.1'); // the mask alone is too large
    const parts = cutGraph(early, { stages: new Set(), linked, maxBytes: 60 });
    expect(made(early, parts)[0]).toEqual(['mask', 'in.0', 'qkv.0', 'present.0']);
  });

  test.each([1, 60, 100, 150, 1e9])('of %d bytes each computes every node once, of what is there', (maxBytes) => {
    const whole = graph();
    const parts = cutGraph(whole, { stages, linked, maxBytes });
    expect(made(whole, parts).flat()).toEqual(whole.node.map(({ output }) => output[0]));
    const there = new Set(whole.input.map(({ name }) => name));
    for (const { inputs, outputs } of parts) {
      expect(inputs.filter((name) => !there.has(name))).toEqual([]);
      for (const name of outputs) there.add(name);
    }
    expect(whole.output.filter(({ name }) => !there.has(name))).toEqual([]);
  });
});
