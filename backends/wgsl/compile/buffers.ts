import { evaluateDim, symbolsOf, type Dim } from '../../../ir/dim.ts';
import type { Value } from '../../../ir/graph.ts';
import { CAPACITY } from '../bundle/plan.ts';
import { storedShape } from '../kernels/wgsl_text.ts';
import type { Dispatch, Scratch } from './dispatch.ts';
import type { PhaseGraph } from './phases.ts';
import { memoryOf } from './schedule.ts';

/** A buffer and the sizes, as products, that it must hold; elements have 4 bytes. */
export interface Buffer {
  readonly label: string;
  readonly role: 'port' | 'scratch';
  readonly sizes: readonly (readonly Dim[])[];
}

export interface LoweredPhase {
  readonly phase: PhaseGraph;
  readonly dispatches: readonly Dispatch[];
  rootOf(value: Value): Value;
}

/** Buffers of a program, and where each value of each phase lies. */
export interface Memory {
  readonly buffers: readonly Buffer[];
  /** One for each phase. */
  readonly places: readonly ReadonlyMap<Value | Scratch, number>[];
}

/**
 * Sizes by which buffers are compared: one prompt with a picture. They decide which buffers are shared and nothing
 * else.
 */
const TYPICAL: Readonly<Record<string, number>> = { seq: 1024, past: 1024, [CAPACITY]: 2048 };

/**
 * Ports by name, shared by the phases; a cache and what it grows to are one. Everything else lies in scratch buffers
 * that values share when one is done with before the other begins, within a phase and across phases.
 */
export function planMemory(phases: readonly LoweredPhase[]): Memory {
  const allocator = new Allocator();
  return { places: phases.map((phase) => placesOf(phase, allocator)), buffers: allocator.buffers };
}

/** Pairs of port names: each cache that is written in place. */
export function inPlacePorts({ graph }: PhaseGraph): readonly { readonly input: string; readonly output: string }[] {
  return graph.nodes.flatMap((node) => {
    if (node.op !== 'append_cache') return [];
    const ports = graph.outputs.filter((port) => port.value === node.outputs[0]!);
    return ports.map((port) => ({ input: node.inputs[0]!.name, output: port.name }));
  });
}

function placesOf(
  { phase, dispatches, rootOf }: LoweredPhase,
  allocator: Allocator,
): ReadonlyMap<Value | Scratch, number> {
  const { graph } = phase;
  const places = new Map<Value | Scratch, number>();
  for (const input of graph.inputs) places.set(input, allocator.port(input.name, storedShape(input.type.shape)));
  for (const node of graph.nodes)
    if (node.op === 'append_cache')
      places.set(node.outputs[0]!, allocator.port(node.inputs[0]!.name, storedShape(node.outputs[0]!.type.shape)));
  for (const { name, value } of graph.outputs)
    if (!places.has(rootOf(value))) places.set(rootOf(value), allocator.port(name, storedShape(value.type.shape)));
  const last = new Map<Value | Scratch, number>();
  dispatches.forEach((dispatch, i) => {
    for (const access of ['read', 'read_write'] as const)
      for (const memory of memoryOf(dispatch, access)) last.set(memory, i);
  });
  const held: { readonly memory: Value | Scratch; readonly buffer: number }[] = [];
  dispatches.forEach((dispatch, i) => {
    for (const memory of memoryOf(dispatch, 'read_write')) {
      if (places.has(memory)) continue;
      const buffer =
        'type' in memory
          ? allocator.take(storedShape(memory.type.shape), memory.name)
          : allocator.take(memory.sizes, memory.label);
      places.set(memory, buffer);
      held.push({ memory, buffer });
    }
    for (const { buffer } of held.filter((one) => last.get(one.memory) === i)) allocator.free(buffer);
  });
  return places;
}

class Allocator {
  readonly #buffers: { label: string; role: 'port' | 'scratch'; sizes: (readonly Dim[])[] }[] = [];
  readonly #ports = new Map<string, number>();
  #free: number[] = [];

  get buffers(): readonly Buffer[] {
    return this.#buffers;
  }

  port(name: string, size: readonly Dim[]): number {
    const known = this.#ports.get(name) ?? this.#add(name, 'port');
    this.#ports.set(name, known);
    this.#hold(known, size);
    return known;
  }

  /** A scratch buffer: the smallest free one that is large enough, else the largest, which grows, else a new one. */
  take(size: readonly Dim[], label: string): number {
    const wanted = typicalCount(size);
    const bySize = this.#free.toSorted((a, b) => this.#typical(a) - this.#typical(b));
    const chosen =
      bySize.find((index) => this.#typical(index) >= wanted) ?? bySize.at(-1) ?? this.#add(label, 'scratch');
    this.#free = this.#free.filter((index) => index !== chosen);
    this.#hold(chosen, size);
    return chosen;
  }

  free(buffer: number): void {
    this.#free.push(buffer);
  }

  #add(label: string, role: 'port' | 'scratch'): number {
    return this.#buffers.push({ label, role, sizes: [] }) - 1;
  }

  #hold(index: number, size: readonly Dim[]): void {
    const { sizes } = this.#buffers[index]!;
    if (!sizes.some((known) => JSON.stringify(known) === JSON.stringify(size))) sizes.push(size);
  }

  #typical(index: number): number {
    return Math.max(...this.#buffers[index]!.sizes.map(typicalCount));
  }
}

function typicalCount(size: readonly Dim[]): number {
  return size.reduce<number>(
    (product, dim) => product * evaluateDim(dim, new Map(symbolsOf(dim).map((name) => [name, TYPICAL[name] ?? 1]))),
    1,
  );
}
