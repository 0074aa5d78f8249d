import { describe, expect, test } from 'vitest';
import { storeWeights, runPassesOnProgram } from '../../../ir/passes/index.ts';
import type { Node, Program, Value } from '../../../ir/graph.ts';
import { randomWeight, tinyProgram } from '../../testing/tiny_program.ts';
import { GEMMA_1, GEMMA_2, tinyGemma } from '../testing/tiny_gemma.ts';
import { compile, type CompiledProgram } from './compile.ts';

/** Shaders of the steps of a phase, in order, without sizes. */
function steps({ plan, shaders }: CompiledProgram, phase: string): readonly string[] {
  return plan.phases
    .find(({ name }) => name === phase)!
    .steps.map(({ pipeline }) =>
      shaders[plan.pipelines[pipeline]!.variants.at(-1)!.shader]!.path.replace('shaders/', '').replace('.wgsl', ''),
    );
}

const labels = ({ plan }: CompiledProgram, phase: string) =>
  plan.phases.find(({ name }) => name === phase)!.steps.map(({ label }) => label);

describe('one new token', () => {
  test('Gemma 1: norm and heads, attention in two, o, gated, down: and around the layers embedding, mask, last norm and head', () => {
    const compiled = compile(tinyGemma({ ...GEMMA_1, layers: 3 }));
    expect(steps(compiled, 'embed_tokens.step')).toHaveLength(1);
    expect(labels(compiled, 'decoder.step').slice(0, 8)).toEqual([
      'where',
      'lm.0.mul + lm.0.concat + lm.0.concat_1',
      'lm.0.attention.split',
      'lm.0.attention',
      'lm.0.add',
      'lm.0.mul_1',
      'lm.0.add_1',
      'lm.1.mul + lm.1.concat + lm.1.concat_1',
    ]);
    expect(steps(compiled, 'decoder.step')).toHaveLength(1 + 3 * 6 + 2);
  });

  test('Gemma 2: two kernels more a layer, for the norms behind attention and MLP with the next ones, of which the last is the final norm', () => {
    expect(steps(compile(tinyGemma({ ...GEMMA_2, layers: 3 })), 'decoder.step')).toHaveLength(1 + 3 * 8 + 1);
  });
});

/** A decoder of one layer whose keys are rotated by another operand: 1 are positions, 2 cosines, 3 sines. */
function withOtherRope(operand: number): Program {
  const program = tinyGemma({ ...GEMMA_1, layers: 1 });
  return {
    ...program,
    graphs: program.graphs.map((graph) => {
      const rope = graph.nodes.filter(({ op }) => op === 'rope')[1];
      if (!rope) return graph;
      const other: Value = { name: 'other', type: rope.inputs[operand]!.type };
      const turned = { ...rope, inputs: rope.inputs.with(operand, other) } as Node;
      const nodes = graph.nodes.map((node) => (node === rope ? turned : node));
      if (operand === 1) return { ...graph, nodes, inputs: [...graph.inputs, other] };
      const data = randomWeight('other', other.type.shape as number[]);
      return { ...graph, nodes, constants: [...graph.constants, { kind: 'weight', value: other, data }] };
    }),
  };
}

test.each([1, 2, 3])('heads that are rotated by another operand %d have a kernel of their own', (operand) => {
  const count = (program: Program) => steps(compile(program), 'decoder.step').length;
  expect(count(withOtherRope(operand))).toBe(count(tinyGemma({ ...GEMMA_1, layers: 1 })) + 1);
});

describe('weights', () => {
  test('the table and the head are one range, heads of a layer another, gate and up a third', () => {
    const { weights } = compile(tinyGemma({ ...GEMMA_1, layers: 1 }));
    expect(weights.map(({ name }) => name)).toEqual([
      'lm.embed',
      'lm.0.norm_attn_in',
      'lm.0.q+lm.0.k+lm.0.v',
      'rope.cos',
      'lm.0.o',
      'lm.0.norm_mlp_in',
      'lm.0.gate+lm.0.up',
      'lm.0.down',
      'lm.norm',
    ]);
  });

  test('f16 weights lie as they are stored', () => {
    const stored = runPassesOnProgram(tinyGemma(GEMMA_1), [storeWeights('f16')]);
    const bytes = (program: typeof stored) =>
      compile(program).weights.reduce((sum, { data }) => sum + data.byteLength, 0);
    expect(bytes(stored) / bytes(tinyGemma(GEMMA_1))).toBeLessThan(0.6);
  });

  test('what exceeds a binding is cut along its rows', () => {
    const { weights, plan } = compile(tinyGemma(GEMMA_1), { bindingLimit: 32768 });
    expect(Math.max(...weights.map(({ data }) => data.byteLength))).toBeLessThanOrEqual(32768);
    expect(plan.phases.length).toBeGreaterThan(0);
  });
});

test('every graph compiles, and every weight and buffer of a step is there', () => {
  for (const program of [tinyProgram(), tinyGemma(GEMMA_1), tinyGemma(GEMMA_2)]) {
    const { plan, weights } = compile(program);
    for (const { steps } of plan.phases)
      for (const { bindings, pipeline } of steps) {
        expect(bindings).toHaveLength(plan.pipelines[pipeline]!.access.length);
        expect(bindings.length).toBeLessThanOrEqual(8);
        for (const { kind, index } of bindings)
          expect(index).toBeLessThan(kind === 'weight' ? weights.length : plan.buffers.length);
      }
  }
});

test('no step reads and writes one buffer', () => {
  const { plan } = compile(tinyGemma(GEMMA_2));
  for (const { steps } of plan.phases)
    for (const { bindings, pipeline, label } of steps) {
      const { access } = plan.pipelines[pipeline]!;
      const buffers = (wanted: string) =>
        bindings.flatMap(({ kind, index }, i) => (kind === 'buffer' && access[i] === wanted ? [index] : []));
      expect(
        buffers('read').filter((index) => buffers('read_write').includes(index)),
        label,
      ).toEqual([]);
    }
});

test('two compilations give one plan', () => {
  const text = () => JSON.stringify(compile(tinyGemma(GEMMA_1)).plan);
  expect(text()).toBe(text());
});

test('names of tensors are in no shader, whatever they are', () => {
  const hostile = 'w; } @compute fn evil() { loop {} } //\n::error::';
  const program = tinyGemma({ ...GEMMA_1, layers: 1 });
  const renamed: Program = {
    ...program,
    graphs: program.graphs.map((graph) => {
      const others = new Map(
        [...graph.constants.map(({ value }) => value), ...graph.nodes.flatMap(({ outputs }) => outputs)].map(
          (value, i) => [value, { ...value, name: `${hostile}${i}` }] as const,
        ),
      );
      const other = (value: Value) => others.get(value) ?? value;
      return {
        ...graph,
        constants: graph.constants.map((constant) => ({ ...constant, value: other(constant.value) })),
        nodes: graph.nodes.map((node) => ({
          ...node,
          inputs: node.inputs.map(other),
          outputs: node.outputs.map(other),
        })) as readonly Node[],
        outputs: graph.outputs.map((port) => ({ ...port, value: other(port.value) })),
        stages: graph.stages.map((stage) => ({ ...stage, value: other(stage.value) })),
      };
    }),
  };
  const texts = (of: Program) => compile(of).shaders.map(({ text }) => text);
  expect(texts(renamed)).toEqual(texts(program));
  expect(texts(renamed).join('\n')).not.toContain('evil');
});
