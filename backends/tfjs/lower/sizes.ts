import { printDim, sameDim, subDims, symbolsOf, type Dim } from '../../../ir/dim.ts';
import type { Value } from '../../../ir/graph.ts';
import { BackendError } from '../../error.ts';
import type { TfAttr, TfType } from '../graph.ts';
import type { Operand } from './operand.ts';

/** What sizes are written with: the context that owns them. */
interface SizeWriter {
  tensor(value: Value): Operand;
  int(value: number): Operand;
  ints(...values: readonly number[]): Operand;
  step(
    op: string,
    inputs: readonly Operand[],
    hint: string,
    output: TfType,
    attrs?: Readonly<Record<string, TfAttr>>,
  ): Operand;
}

/** An axis of a tensor that has a size, or tells one when the others in `dim` are known. */
interface Site {
  readonly value: Value;
  readonly axis: number;
  readonly dim: Dim;
}

const SCALAR: TfType = { dtype: 'int32', rank: 0 };
const VECTOR: TfType = { dtype: 'int32', rank: 1 };
const INT32: TfAttr = { type: 'int32' };

/**
 * Sizes that are known at run time only, as int32 tensors read from shapes: each is computed once. They are for ops
 * that read them on the host (Reshape, BroadcastTo, Range, StridedSlice). No kernel of a device may take them: WebGPU
 * reads nothing back at once, so they must stay where they were made, on the CPU (tfjs's WEBGPU_CPU_FORWARD). A size
 * that is computed with is made anew: `fresh`.
 */
export class Sizes {
  readonly #writer: SizeWriter;
  readonly #sites = new Map<string, Site>();
  readonly #partial: Site[] = [];
  readonly #known = new Map<string, Operand>();

  constructor(writer: SizeWriter) {
    this.#writer = writer;
  }

  /** Notes what the shapes of tensors that exist tell. */
  learn(values: readonly Value[]): void {
    for (const value of values)
      for (const [axis, dim] of value.type.shape.entries()) {
        if (typeof dim === 'number') continue;
        const site = { value, axis, dim };
        if (!this.#sites.has(printDim(dim))) this.#sites.set(printDim(dim), site);
        if (symbolsOf(dim).length > 1) this.#partial.push(site);
      }
  }

  /** An int32 scalar. @throws BackendError when no tensor tells a symbol */
  scalar(dim: Dim): Operand {
    if (typeof dim === 'number') return this.#writer.int(dim);
    const key = printDim(dim);
    const known = this.#known.get(key) ?? this.fresh(dim);
    this.#known.set(key, known);
    return known;
  }

  /** The same as a tensor of its own, for kernels. */
  fresh(dim: Dim): Operand {
    if (typeof dim === 'number') return this.#writer.int(dim);
    const site = this.#sites.get(printDim(dim));
    return site ? this.#read(site) : this.#sum(dim);
  }

  /** A whole shape as an int32 vector; one size at most may be -1, which Reshape computes. */
  shape(dims: readonly Dim[], { mayInfer }: { readonly mayInfer: boolean }): Operand {
    const unknown = dims.filter((dim) => typeof dim !== 'number').length;
    // beside a size of 0, the rest cannot be told
    if (unknown === 0 || (mayInfer && unknown === 1 && !dims.includes(0)))
      return this.#writer.ints(...dims.map((dim) => (typeof dim === 'number' ? dim : -1)));
    const key = `[${dims.map(printDim).join()}]`;
    const known =
      this.#known.get(key) ??
      this.#writer.step(
        'Pack',
        dims.map((dim) => this.scalar(dim)),
        `shape.${nameOf(dims)}`,
        VECTOR,
        { N: { int: dims.length }, axis: { int: 0 }, T: INT32 },
      );
    this.#known.set(key, known);
    return known;
  }

  #read({ value, axis, dim }: Site): Operand {
    const writer = this.#writer;
    const tensor = writer.tensor(value);
    const shape = writer.step('Shape', [tensor], `shape_of.${value.name}`, VECTOR, {
      T: { type: tensor.dtype },
      out_type: INT32,
    });
    return writer.step(
      'StridedSlice',
      [shape, writer.ints(axis), writer.ints(axis + 1), writer.ints(1)],
      `size.${nameOf([dim])}`,
      SCALAR,
      {
        T: INT32,
        Index: INT32,
        begin_mask: { int: 0 },
        end_mask: { int: 0 },
        ellipsis_mask: { int: 0 },
        new_axis_mask: { int: 0 },
        shrink_axis_mask: { int: 1 },
      },
    );
  }

  #sum(dim: Exclude<Dim, number>): Operand {
    const [only, ...more] = dim.terms;
    if (only && more.length === 0 && dim.offset === 0 && only[1] === 1) return this.#solved(only[0]);
    const terms = dim.terms.map(([symbol, factor]) => {
      const size = this.fresh({ terms: [[symbol, 1]], offset: 0 });
      return factor === 1 ? size : this.#combine('Mul', size, this.#writer.int(factor), dim);
    });
    if (dim.offset !== 0) terms.push(this.#writer.int(dim.offset));
    return terms.reduce((sum, term) => this.#combine('AddV2', sum, term, dim));
  }

  /** A symbol from a sum of which the rest is known. */
  #solved(symbol: string): Operand {
    const site = this.#partial.find(({ dim }) => {
      const rest = subDims(dim, { terms: [[symbol, 1]], offset: 0 });
      return (
        symbolsOf(dim).includes(symbol) &&
        !symbolsOf(rest).includes(symbol) &&
        symbolsOf(rest).every((other) => this.#sites.has(other))
      );
    });
    if (!site)
      throw new BackendError('unsupported', `no tensor of the graph tells the size "${symbol}"`, {
        hint: `give an input an axis of size ${symbol}`,
      });
    const rest = subDims(site.dim, { terms: [[symbol, 1]], offset: 0 });
    const whole = this.#read(site);
    return sameDim(rest, 0)
      ? whole
      : this.#combine('Sub', whole, this.fresh(rest), { terms: [[symbol, 1]], offset: 0 });
  }

  #combine(op: string, a: Operand, b: Operand, dim: Dim): Operand {
    return this.#writer.step(op, [a, b], `size.${nameOf([dim])}`, SCALAR, { T: INT32 });
  }
}

const nameOf = (dims: readonly Dim[]) => dims.map((dim) => printDim(dim).replaceAll(/\W+/g, '_')).join('_');
