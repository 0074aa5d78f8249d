import { expect, test } from 'vitest';
import { sym, type Dim } from '../../../ir/dim.ts';
import type { Graph, Node, Value } from '../../../ir/graph.ts';
import { ONE, type Kernel } from '../kernels/kernel.ts';
import { planMemory } from './buffers.ts';
import type { Dispatch, Operand, Scratch } from './dispatch.ts';
import { scheduled } from './schedule.ts';

const value = (name: string, ...shape: Dim[]): Value => ({ name, type: { dtype: 'f32', shape } });

/** A kernel that reads some memory and writes other. */
function dispatch(label: string, reads: readonly (Value | Scratch)[], writes: readonly (Value | Scratch)[]): Dispatch {
  const operand = (memory: Value | Scratch): Operand =>
    'type' in memory ? { kind: 'value', value: memory } : { kind: 'scratch', scratch: memory };
  const bindings = [
    ...reads.map((_, i) => ({ name: `r${i}`, type: 'array<f32>', access: 'read' as const })),
    ...writes.map((_, i) => ({ name: `w${i}`, type: 'array<f32>', access: 'read_write' as const })),
  ];
  const kernel: Kernel = { name: label, doc: '', bindings, body: '', grid: [ONE, ONE, ONE] };
  return { label, kernel, operands: [...reads, ...writes].map(operand) };
}

function phase(name: string, graph: Partial<Graph>, dispatches: readonly Dispatch[]) {
  return {
    phase: {
      name,
      fixed: {},
      graph: { name, inputs: [], constants: [], nodes: [], outputs: [], stages: [], ...graph },
    },
    dispatches,
    rootOf: (v: Value) => v,
  };
}

test('what is written comes before what reads it, each once', () => {
  const [a, b, c] = [value('a', 4), value('b', 4), value('c', 4)];
  const [first, half, other, last] = [
    dispatch('first', [], [a]),
    dispatch('half', [a], [b]),
    dispatch('other', [a], [b]),
    dispatch('last', [b, a], [c]),
  ];
  expect(scheduled([last, half, first, other]).map(({ label }) => label)).toEqual(['first', 'half', 'other', 'last']);
  expect(() => scheduled([dispatch('x', [a], [b]), dispatch('y', [b], [a])])).toThrow('wait for each other');
});

test('values share a buffer when one is done with before the other begins, and never within one kernel', () => {
  const [x, a, b, c, y] = [value('x', 4), value('a', 4), value('b', 4), value('c', 4), value('y', 4)];
  const dispatches = [
    dispatch('1', [x], [a]),
    dispatch('2', [a], [b]),
    dispatch('3', [b], [c]),
    dispatch('4', [c, b], [y]),
  ];
  const { buffers, places } = planMemory([
    phase('p', { inputs: [x], outputs: [{ name: 'out', value: y }] }, dispatches),
  ]);
  const [place] = places;
  expect(place!.get(a)).toBe(place!.get(c));
  expect(place!.get(a)).not.toBe(place!.get(b));
  expect(buffers.map(({ label, role }) => [label, role])).toEqual([
    ['x', 'port'],
    ['out', 'port'],
    ['a', 'scratch'],
    ['b', 'scratch'],
  ]);
});

test('phases share ports by name, and scratch; the smallest buffer that is large enough is taken', () => {
  const [small, large] = [value('small', 4), value('large', sym('seq'), 4)];
  const [embeds, again] = [value('h', sym('seq'), 4), value('inputs_embeds', sym('seq'), 4)];
  const tiny = value('tiny', 2);
  const first = phase('embed', { outputs: [{ name: 'inputs_embeds', value: embeds }] }, [
    dispatch('1', [], [small]),
    dispatch('2', [small], [large]),
    dispatch('3', [small, large], [embeds]),
  ]);
  const second = phase('decoder', { inputs: [again] }, [dispatch('4', [again], [tiny])]);
  const { buffers, places } = planMemory([first, second]);
  expect(places[1]!.get(again)).toBe(places[0]!.get(embeds));
  expect(places[1]!.get(tiny)).toBe(places[0]!.get(small));
  expect(buffers).toHaveLength(3);
});

test('a cache and what it grows to are one port', () => {
  const [past, rows, grown] = [
    value('past.key', 1, 2, sym('past'), 4),
    value('rows', 1, 1, 2, 4),
    value('grown', 1, 2, { terms: [['past', 1]], offset: 1 }, 4),
  ];
  const append = { op: 'append_cache', inputs: [past, rows], attrs: {}, outputs: [grown] } as Node;
  const { buffers, places } = planMemory([
    phase('decoder.step', { inputs: [past, rows], nodes: [append], outputs: [{ name: 'present.key', value: grown }] }, [
      dispatch('append', [rows], [grown]),
    ]),
  ]);
  expect(places[0]!.get(grown)).toBe(places[0]!.get(past));
  expect(buffers.map(({ label, sizes }) => [label, sizes])).toEqual([
    ['past.key', [[1, 2, { terms: [['capacity', 1]], offset: 0 }, 4]]],
    ['rows', [[1, 1, 2, 4]]],
  ]);
});

test('scratch of a region is memory as any other', () => {
  const scratch: Scratch = { label: 'partials', sizes: [8, sym('batch_size')] };
  const [a, b] = [value('a', 4), value('b', 4)];
  const { buffers, places } = planMemory([
    phase('p', { outputs: [{ name: 'b', value: b }] }, [
      dispatch('split', [], [scratch]),
      dispatch('reduce', [scratch], [a]),
      dispatch('more', [a], [b]),
    ]),
  ]);
  expect(buffers.map(({ label }) => label)).toEqual(['b', 'partials', 'a']);
  expect(places[0]!.get(scratch)).toBe(1);
});
