import { evaluateDim, type Dim } from './dim.ts';
import { dtypes } from './dtypes/index.ts';
import { IrError } from './error.ts';
import type { Constant, Graph, Node, Port, Value } from './graph.ts';
import { isAsked, isEarlier, type GraphRun } from './graph_run.ts';
import type { RawTensor } from './op.ts';
import { giveBack, isTaken, takeF32 } from './scratch.ts';
import { elementCount, type Tensor } from './tensor.ts';
import type { WeightCache } from './weight_cache.ts';

/** Where constants of a graph are read. */
export interface Weights {
  readonly weights: ReadonlyMap<Value, Constant>;
  readonly cache: WeightCache;
}

/** What one run knows while its graph is evaluated. */
export class RunState {
  /** The node that comes next. */
  at = 0;
  readonly bindings = new Map<string, number>();
  readonly values = new Map<Value, Tensor>();
  readonly uses: Map<Value, number>;
  readonly #graph: string;
  readonly #wanted: readonly Port[];
  /** What nodes made: the memory of it is this run's. */
  readonly #made = new Set<Value>();
  readonly #observed: boolean;
  readonly #earlier = new Map<Value, { readonly state: RunState; readonly value: Value }>();

  /**
   * @param before those of the list before this one
   * @param lent how many inputs of later ones its outputs are, by their names
   * @param observed whether others may keep what it makes
   */
  constructor(
    graph: Graph,
    nodes: readonly Node[],
    run: GraphRun,
    {
      before,
      lent,
      observed,
    }: {
      readonly before: readonly RunState[];
      readonly lent: ReadonlyMap<string, number>;
      readonly observed: boolean;
    },
  ) {
    const { inputs, stages } = run;
    this.#graph = graph.name;
    this.#observed = observed;
    const known: Value[] = [];
    for (const parameter of graph.inputs) {
      const input = inputs[parameter.name];
      if (!input) throw new IrError(`graph ${graph.name} needs the input "${parameter.name}"`);
      if (isEarlier(input)) {
        const state = before[input.run];
        const port = graph.outputs.find(({ name }) => name === input.output);
        if (!state || !port)
          throw new IrError(`input "${parameter.name}" is to be "${input.output}" of run ${input.run}: there is none`);
        this.#earlier.set(parameter, { state, value: port.value });
        continue;
      }
      if (input.dtype !== parameter.type.dtype)
        throw new IrError(`input "${parameter.name}" is ${input.dtype}, not ${parameter.type.dtype}`);
      if (input.data.length !== elementCount(input.shape))
        throw new IrError(
          `input "${parameter.name}" has ${input.data.length} elements for shape [${input.shape.join(', ')}]`,
        );
      this.values.set(parameter, input);
      known.push(parameter);
    }
    bindInputs(known, this.values, this.bindings);
    this.#wanted = [
      ...graph.outputs.filter(({ name }) => isAsked(run, name)),
      ...graph.stages.filter(({ name }) => stages?.includes(name)),
    ];
    const kept = new Map<Value, number>();
    for (const { name, value } of graph.outputs) {
      const count = lent.get(name);
      if (count !== undefined) kept.set(value, (kept.get(value) ?? 0) + count);
    }
    for (const { value } of this.#wanted) kept.set(value, Infinity);
    this.uses = countUses(nodes, kept);
  }

  /** Whether nothing that a node reads is still to come of an earlier run. */
  isReady({ inputs }: Node): boolean {
    return inputs.every((value) => !this.#earlier.has(value) || this.#fromEarlier(value) !== undefined);
  }

  async read(value: Value, { weights, cache }: Weights): Promise<Tensor> {
    const constant = weights.get(value);
    const tensor =
      this.values.get(value) ??
      this.#fromEarlier(value) ??
      (constant?.kind === 'weight' ? await cache.read(constant.data) : constant?.tensor);
    if (!tensor) throw new IrError(`%${value.name} has no value in graph ${this.#graph}`);
    return tensor;
  }

  /** Rounds a result of a node and keeps it. What only moves elements may give those of its operand. */
  keep(value: Value, raw: RawTensor, { inputs }: Node): Tensor {
    bindShape(value.name, value.type.shape, raw.shape, this.bindings);
    const isOperands = inputs.some((input) => (this.values.get(input) ?? this.#fromEarlier(input))?.data === raw.data);
    const tensor = rounded(value, raw, !isOperands);
    this.values.set(value, tensor);
    this.#made.add(value);
    return tensor;
  }

  /** Lets go of what nobody needs any more. */
  drop(inputs: readonly Value[]): void {
    for (const value of inputs) {
      const left = (this.uses.get(value) ?? 1) - 1;
      this.uses.set(value, left);
      if (left !== 0) continue;
      const earlier = this.#earlier.get(value);
      earlier?.state.drop([earlier.value]);
      const tensor = this.values.get(value);
      this.values.delete(value);
      if (tensor && this.#made.has(value) && !this.#observed) giveBack(tensor.data);
    }
  }

  async results(context: Weights): Promise<Record<string, Tensor>> {
    const results: Record<string, Tensor> = {};
    for (const port of this.#wanted) results[port.name] = await this.read(port.value, context);
    return results;
  }

  #fromEarlier(value: Value): Tensor | undefined {
    const earlier = this.#earlier.get(value);
    if (!earlier) return undefined;
    // what an earlier run gives may itself be what one before it gave
    const tensor = earlier.state.values.get(earlier.value) ?? earlier.state.#fromEarlier(earlier.value);
    if (!tensor) return undefined;
    bindShape(value.name, value.type.shape, tensor.shape, this.bindings);
    return tensor;
  }
}

/** A result in its dtype. Memory that was taken for it alone (`isOwn`) is used or given back. */
function rounded(value: Value, raw: RawTensor, isOwn: boolean): Tensor {
  const { dtype } = value.type;
  if (dtype === 'f32') {
    if (isOwn && raw.data instanceof Float32Array && isTaken(raw.data))
      return { dtype, shape: raw.shape, data: raw.data };
    const data = takeF32(raw.data.length);
    data.set(raw.data);
    if (isOwn) giveBack(raw.data);
    return { dtype, shape: raw.shape, data };
  }
  const codec = dtypes[dtype];
  const data = codec.allocate(raw.data.length);
  for (let i = 0; i < data.length; i++) data[i] = codec.round(raw.data[i]!);
  if (isOwn) giveBack(raw.data);
  return { dtype, shape: raw.shape, data };
}

/**
 * Binds the symbols of all inputs, in whatever order they determine each other, then checks every shape against them.
 */
function bindInputs(
  parameters: readonly Value[],
  values: ReadonlyMap<Value, Tensor>,
  bindings: Map<string, number>,
): void {
  for (let known = -1; known !== bindings.size;) {
    known = bindings.size;
    for (const parameter of parameters)
      bindShape(parameter.name, parameter.type.shape, values.get(parameter)!.shape, bindings);
  }
}

/** Gives new symbols their values and checks the known ones. A dimension with two unknown symbols waits. */
function bindShape(
  name: string,
  declared: readonly Dim[],
  actual: readonly number[],
  bindings: Map<string, number>,
): void {
  const mismatch = () =>
    new IrError(
      `%${name} has shape [${actual.join(', ')}] where its type says otherwise (${[...bindings].map(([s, v]) => `${s} = ${v}`).join(', ')})`,
    );
  if (declared.length !== actual.length) throw mismatch();
  declared.forEach((d, axis) => {
    if (typeof d !== 'number') {
      const unknown = d.terms.filter(([symbol]) => !bindings.has(symbol));
      if (unknown.length === 1) {
        const [symbol, coefficient] = unknown[0]!;
        const rest = { terms: d.terms.filter(([s]) => s !== symbol), offset: d.offset };
        const size = (actual[axis]! - evaluateDim(rest, bindings)) / coefficient;
        if (!Number.isSafeInteger(size) || size < 0) throw mismatch();
        bindings.set(symbol, size);
      } else if (unknown.length > 1) return;
    }
    if (evaluateDim(d, bindings) !== actual[axis]) throw mismatch();
  });
}

/** How often each value is read: by nodes that are needed for what is kept, and as often as `kept` says beside. */
function countUses(nodes: readonly Node[], kept: ReadonlyMap<Value, number>): Map<Value, number> {
  const uses = new Map(kept);
  for (const node of [...nodes].reverse())
    if (node.outputs.some((v) => uses.has(v)))
      for (const value of node.inputs) uses.set(value, (uses.get(value) ?? 0) + 1);
  return uses;
}
