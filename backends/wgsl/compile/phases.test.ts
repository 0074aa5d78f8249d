import { expect, test } from 'vitest';
import { parseGraph } from '../../../ir/parse.ts';
import { printGraph } from '../../../ir/print.ts';
import type { CompositeName } from '../../../ir/ops/index.ts';
import { programOf } from '../../testing/tiny_program.ts';
import { phaseGraphs } from './phases.ts';

const NATIVE: ReadonlySet<CompositeName> = new Set<CompositeName>(['append_cache']);
const graph = (text: string) =>
  parseGraph(text, {
    weight: () => {
      throw new Error('no weights here');
    },
  });
const phases = (text: string) => phaseGraphs(programOf(graph(text)), NATIVE);

const cache = (append: string) => `graph decoder {
  input %x: f32[batch_size, seq, 2, 4]
  input %past_key: f32[batch_size, 2, past, 4]
  ${append}
}`;
const turned = '%turned: f32[batch_size, 2, seq, 4] = transpose %x {perm = [0, 2, 1, 3]}\n';
const grown = (name: string) => `%${name}: f32[batch_size, 2, past + seq, 4] = concat %past_key, %turned {axis = 2}\n`;

test('a graph of a sequence has a step of one token, others have not', () => {
  const [any, step] = phases(cache(`${turned}${grown('key')} output "present_key" = %key`));
  expect([step!.name, step!.fixed, any!.name, any!.fixed]).toEqual(['decoder.step', { seq: 1 }, 'decoder', {}]);
  expect(printGraph(step!.graph)).toContain('%key: f32[batch_size, 2, past + 1, 4] = append_cache %past_key, %x');
  expect(
    phases('graph vision {\n input %x: f32[images, 3]\n %y: f32[images, 3] = tanh %x\n output "y" = %y\n}').map(
      ({ name }) => name,
    ),
  ).toEqual(['vision']);
});

test('a cache that does not come out, or grows twice, is joined as any other value', () => {
  const inner = phases(
    cache(`${turned}${grown('key')} %y: f32[batch_size, 2, past + seq, 4] = tanh %key\n output "y" = %y`),
  );
  const twice = phases(
    cache(
      `${turned}${grown('key')} %also: f32[batch_size, 2, seq, 4] = tanh %turned\n %back: f32[batch_size, seq, 2, 4] = transpose %also {perm = [0, 2, 1, 3]}\n %again: f32[batch_size, 2, seq, 4] = transpose %back {perm = [0, 2, 1, 3]}\n %key_1: f32[batch_size, 2, past + seq, 4] = concat %past_key, %again {axis = 2}\n output "a" = %key\n output "b" = %key_1`,
    ),
  );
  for (const { graph } of [...inner, ...twice])
    expect(graph.nodes.map((node) => node.op)).not.toContain('append_cache');
});
