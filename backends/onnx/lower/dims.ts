import { printDim, sameDim, subDims, symbolsOf, type Dim } from '../../../ir/dim.ts';
import type { Value } from '../../../ir/graph.ts';
import { BackendError } from '../../error.ts';
import type { OnnxAttribute } from './model.ts';

/** What dims are written with: the context that owns them. */
export interface DimWriter {
  tensor(value: Value): string;
  ints(...values: readonly (number | bigint)[]): string;
  literal(dtype: 'i64', shape: readonly number[], values: readonly number[], hint?: string): string;
  step(
    opType: string,
    inputs: readonly string[],
    hint: string,
    attributes?: Readonly<Record<string, OnnxAttribute>>,
  ): string;
}

/** An axis of a tensor whose size tells one symbol, the others in `dim` being known. */
interface Site {
  readonly value: Value;
  readonly axis: number;
  readonly dim: Dim;
}

/** Symbolic dims as i64[1] tensors, read from the shapes of tensors that have them; each is computed once. */
export class DimTensors {
  readonly #writer: DimWriter;
  readonly #symbols = new Map<string, Site>();
  readonly #exact = new Map<string, Site>();
  readonly #tensors = new Map<string, string>();

  constructor(writer: DimWriter) {
    this.#writer = writer;
  }

  /** Notes what the shapes of defined values tell. Several values at once may depend on each other in any order. */
  learn(values: readonly Value[]): void {
    const sites = values
      .flatMap((value) => value.type.shape.map((dim, axis): Site => ({ value, axis, dim })))
      .filter(({ dim }) => typeof dim !== 'number');
    for (const site of sites) if (!this.#exact.has(printDim(site.dim))) this.#exact.set(printDim(site.dim), site);
    for (let before = -1; before !== this.#symbols.size;) {
      before = this.#symbols.size;
      for (const site of sites) {
        const unknown = symbolsOf(site.dim).filter((symbol) => !this.#symbols.has(symbol));
        if (unknown.length === 1) this.#symbols.set(unknown[0]!, site);
      }
    }
  }

  /** The size as an i64[1] tensor. @throws BackendError when no defined tensor tells a symbol. */
  vector(dim: Dim): string {
    if (typeof dim === 'number') return this.#writer.ints(dim);
    const key = printDim(dim);
    const known = this.#tensors.get(key);
    if (known !== undefined) return known;
    const site = this.#exact.get(key);
    const tensor = site ? this.#sizeAt(site, key) : this.#combination(dim, key);
    this.#tensors.set(key, tensor);
    return tensor;
  }

  /** The size as an i64 scalar tensor. */
  scalar(dim: Dim): string {
    if (typeof dim === 'number') return this.#writer.literal('i64', [], [dim], `int_${dim}`);
    const key = `scalar ${printDim(dim)}`;
    const known =
      this.#tensors.get(key) ?? this.#writer.step('Squeeze', [this.vector(dim)], `size.${nameOf(dim)}.scalar`);
    this.#tensors.set(key, known);
    return known;
  }

  /**
   * A whole shape as an i64 vector tensor; sizes are given, or taken as `keep` says (0 and -1 of Reshape, 1 of Expand).
   */
  shape(dims: readonly Dim[], keep: (dim: Dim, axis: number) => number | undefined, hint: string): string {
    const sizes = dims.map((dim, axis) => (typeof dim === 'number' ? dim : (keep(dim, axis) ?? dim)));
    if (sizes.every((size) => typeof size === 'number')) return this.#writer.ints(...sizes);
    const pieces: string[] = [];
    for (let i = 0; i < sizes.length;) {
      const run = sizes.slice(i).findIndex((size) => typeof size !== 'number');
      const count = run === -1 ? sizes.length - i : run;
      if (count > 0) pieces.push(this.#writer.ints(...(sizes.slice(i, i + count) as number[])));
      else pieces.push(this.vector(sizes[i]!));
      i += Math.max(count, 1);
    }
    return pieces.length === 1 ? pieces[0]! : this.#writer.step('Concat', pieces, hint, { axis: 0 });
  }

  #sizeAt({ value, axis }: Site, key: string): string {
    return this.#writer.step('Shape', [this.#writer.tensor(value)], `size.${key.replaceAll(/\W+/g, '_')}`, {
      start: axis,
      end: axis + 1,
    });
  }

  #symbol(name: string): string {
    const exact = this.#exact.get(name);
    if (exact) return this.vector(exact.dim);
    const known = this.#tensors.get(name);
    if (known !== undefined) return known;
    const site = this.#symbols.get(name);
    if (!site || typeof site.dim === 'number')
      throw new BackendError('unsupported', `no tensor of the graph tells the size "${name}"`, {
        hint: `give an input an axis of size ${name}`,
      });
    const coefficient = site.dim.terms.find(([symbol]) => symbol === name)![1];
    const rest = subDims(site.dim, { terms: [[name, coefficient]], offset: 0 });
    const whole = this.vector(site.dim);
    const scaled = sameDim(rest, 0) ? whole : this.#writer.step('Sub', [whole, this.vector(rest)], `size.${name}`);
    const tensor =
      coefficient === 1 ? scaled : this.#writer.step('Div', [scaled, this.#writer.ints(coefficient)], `size.${name}`);
    this.#tensors.set(name, tensor);
    return tensor;
  }

  #combination(dim: Exclude<Dim, number>, key: string): string {
    const hint = `size.${key.replaceAll(/\W+/g, '_')}`;
    const terms = dim.terms.map(([symbol, coefficient]) => {
      const size = this.#symbol(symbol);
      return coefficient === 1 ? size : this.#writer.step('Mul', [size, this.#writer.ints(coefficient)], hint);
    });
    if (dim.offset !== 0) terms.push(this.#writer.ints(dim.offset));
    return terms.reduce((sum, term) => this.#writer.step('Add', [sum, term], hint));
  }
}

const nameOf = (dim: Dim) => printDim(dim).replaceAll(/\W+/g, '_');
