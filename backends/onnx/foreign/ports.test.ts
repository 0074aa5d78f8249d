import { create } from '@bufbuild/protobuf';
import { describe, expect, it, test } from 'vitest';
import { GraphProtoSchema, type GraphProto } from '../proto/onnx_pb.ts';
import { checkOurNames, checkStage, portsOf, problemsOf } from './ports.ts';

/** A graph of f32 ports of these names, without shapes. */
function graphOf(inputs: readonly string[], outputs: readonly string[]): GraphProto {
  const port = (name: string) => ({ name });
  return create(GraphProtoSchema, { input: inputs.map(port), output: outputs.map(port) });
}

const taken = (inputs: readonly string[], outputs: readonly string[], map?: ReadonlyMap<string, string>) => {
  const ports = portsOf(graphOf(inputs, outputs), map);
  return [...ports.inputs, ...ports.outputs].map(({ ours }) => ours);
};

test.each([
  ['past_key_values.0.key', 'present.0.key'],
  ['past_0_key', 'present_0_key'],
  ['past.0.key', 'present_key_values.0.key'],
  ['past_key_0', 'present_key_0'],
  ['past_key_values.0.decoder.key', 'present.0.decoder.key'],
  ['key_cache_0', 'key_cache_0_out'],
  ['past_k0', 'present_k0'],
])('%s and %s are the keys of layer 0', (past, present) => {
  expect(taken(['inputs_embeds', past], ['logits', present])).toEqual([
    'inputs_embeds',
    'past_key_values.0.key',
    'logits',
    'present.0.key',
  ]);
});

test.each(['past_key_values.0', 'past_key_value_3_5', 'cache', 'key.0'])('%s is no cache that is known', (name) => {
  expect(taken([name], ['logits'])[0]).toBeUndefined();
});

describe('a graph', () => {
  it.each([
    [['pixel_values'], ['anything'], 'vision_encoder'],
    [['input_ids'], ['y'], 'embed_tokens'],
    [['inputs_embeds', 'attention_mask'], ['logits'], 'decoder'],
    [['x'], ['y'], undefined],
  ])('with inputs %s and outputs %s is %s', (inputs, outputs, role) => {
    expect(portsOf(graphOf(inputs, outputs)).role).toBe(role);
  });

  it('is what --map makes of it, and a port that is mapped is no other', () => {
    const map = new Map([
      ['inputs_embeds', 'x'],
      ['lm.0', 'x'],
    ]);
    const ports = portsOf(graphOf(['x', 'embeds'], ['y']), map);
    expect(ports).toMatchObject({ role: 'decoder', inputs: [{ ours: 'inputs_embeds' }, { ours: undefined }] });
    expect([...ports.stages]).toEqual([['lm.0', 'x']]);
  });

  it('keeps what it has where --map speaks of a tensor of another graph', () => {
    const map = new Map([['inputs_embeds', 'x']]);
    expect(portsOf(graphOf(['input_ids'], ['inputs_embeds', 'other']), map).outputs).toMatchObject([
      { ours: 'inputs_embeds' },
      { ours: undefined },
    ]);
    expect(portsOf(graphOf(['x', 'past.0.key'], ['logits']), map).inputs[0]).toMatchObject({ ours: 'inputs_embeds' });
  });

  it('says what it lacks', () => {
    const inputs = ['inputs_embeds', 'attention_mask', 'past.1.key', 'past.1.value', 'other'];
    expect(problemsOf(portsOf(graphOf(inputs, ['logits', 'present.1.key'])))).toEqual([
      'input "other" is nothing that can be given',
      'no input is past_key_values.0.key',
      'no output is present.0.key',
      'no input is past_key_values.0.value',
      'no output is present.0.value',
      'no output is present.1.value',
    ]);
    expect(problemsOf(portsOf(graphOf(['pixel_values', 'input_ids'], ['y'])))).toEqual([
      'input "input_ids" is nothing that can be given',
    ]);
  });
});

it('names of ours that are none are refused', () => {
  expect(() => checkOurNames(new Map([['loggits', 'y']]))).toThrow(/no "loggits"/);
  expect(() => checkOurNames(new Map([['lm.12', 'y']]))).not.toThrow();
});

it('stages behind the last layer are refused', () => {
  expect(() => checkStage('lm.3', 3)).not.toThrow();
  expect(() => checkStage('lm.4', 3)).toThrow(/has 3 layers/);
  expect(() => checkStage('vit.99', 3)).not.toThrow();
});
