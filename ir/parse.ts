import { parseList, parseNumber, type AttrCodec } from './attr.ts';
import { checkOperandCount } from './builder.ts';
import { parseDim } from './dim.ts';
import { byteLengthOf, isDType, type DType } from './dtypes/index.ts';
import { IrError } from './error.ts';
import type { Constant, Graph, Node, Port, Value } from './graph.ts';
import type { Op } from './op.ts';
import { isOpName, ops } from './ops/index.ts';
import { Scanner } from './scanner.ts';
import { elementCount, tensorOf, type Provenance, type TensorData } from './tensor.ts';
import { tensorType, type TensorType } from './type.ts';

/** What the text says of a weight. */
export interface WeightDeclaration {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly from?: Provenance;
}

export interface ParseOptions {
  /** Finds the bytes of a weight; default: data that throws an IrError when its bytes are asked for. */
  readonly weight?: (declaration: WeightDeclaration) => TensorData;
}

/**
 * Reads what printGraph writes. Names, ops and attributes are resolved here; checkGraph says whether the types fit.
 * @throws IrError naming line and column.
 */
export function parseGraph(text: string, options: ParseOptions = {}): Graph {
  return new Parser(new Scanner(text), options.weight ?? unreadable).graph();
}

/** A weight known by its declaration alone. */
function unreadable(declaration: WeightDeclaration): TensorData {
  const { name, dtype, shape, from } = declaration;
  return {
    dtype,
    shape,
    byteLength: byteLengthOf(dtype, elementCount(shape)),
    ...(from && { from }),
    // oxlint-disable-next-line require-yield -- there is nothing to yield
    async *chunks() {
      throw new IrError(
        `weight %${name} was read from text, which has no bytes: give parseGraph a \`weight\` function that finds them`,
      );
    },
  };
}

class Parser {
  readonly #scan: Scanner;
  readonly #weight: (declaration: WeightDeclaration) => TensorData;
  readonly #values = new Map<string, Value>();
  readonly #inputs: Value[] = [];
  readonly #constants: Constant[] = [];
  readonly #nodes: Node[] = [];
  readonly #outputs: Port[] = [];
  readonly #stages: Port[] = [];

  constructor(scan: Scanner, weight: (declaration: WeightDeclaration) => TensorData) {
    this.#scan = scan;
    this.#weight = weight;
  }

  graph(): Graph {
    this.#scan.expect('graph');
    const name = this.#scan.name('the name of the graph');
    this.#scan.expect('{');
    while (!this.#scan.accept('}')) this.#line();
    if (!this.#scan.isAtEnd()) this.#scan.fail('expected the end after "}"');
    return {
      name,
      inputs: this.#inputs,
      constants: this.#constants,
      nodes: this.#nodes,
      outputs: this.#outputs,
      stages: this.#stages,
    };
  }

  #line(): void {
    if (this.#scan.accept('%')) return this.#node();
    const at = this.#scan.at;
    const keyword = this.#scan.word('input, weight, literal, %result, stage, output or "}"');
    switch (keyword) {
      case 'input':
        this.#inputs.push(this.#definition());
        return;
      case 'weight':
        return this.#weightLine();
      case 'literal':
        return this.#literalLine();
      case 'stage':
      case 'output':
        (keyword === 'stage' ? this.#stages : this.#outputs).push(this.#port());
        return;
      default:
        this.#scan.fail(`expected input, weight, literal, %result, stage, output or "}", not "${keyword}"`, at);
    }
  }

  #definition(): Value {
    this.#scan.expect('%');
    return this.#typedName();
  }

  /** `x: f32[2, seq]`, after its %. */
  #typedName(): Value {
    const at = this.#scan.at;
    const name = this.#scan.name('a name');
    if (this.#values.has(name)) this.#scan.fail(`the name %${name} is taken`, at);
    this.#scan.expect(':');
    const value = { name, type: this.#type() };
    this.#values.set(name, value);
    return value;
  }

  #type(): TensorType {
    const at = this.#scan.at;
    const dtype = this.#scan.word('a dtype');
    if (!isDType(dtype)) this.#scan.fail(`"${dtype}" is not a dtype`, at);
    this.#scan.expect('[');
    const shapeAt = this.#scan.at;
    const shape = this.#attempt(shapeAt, () => parseList(`[${this.#scan.until(']\n')}]`).map(parseDim));
    this.#scan.expect(']');
    return tensorType(dtype, shape);
  }

  /** The shape of a constant. */
  #numbers(at: number, { shape }: TensorType): number[] {
    return shape.map((dim) =>
      typeof dim === 'number' ? dim : this.#scan.fail('a constant has no symbolic dimensions', at),
    );
  }

  #weightLine(): void {
    const at = this.#scan.at;
    const value = this.#definition();
    const { name, type } = value;
    const declaration = { name, dtype: type.dtype, shape: this.#numbers(at, type) };
    if (!this.#scan.accept('from'))
      return void this.#constants.push({ kind: 'weight', value, data: this.#weight(declaration) });
    const file = this.#scan.string('the file in quotes');
    const key = this.#scan.string('the key in quotes');
    this.#scan.expect('at');
    const offsetAt = this.#scan.at;
    const byteOffset = Number(this.#scan.number('a byte offset'));
    if (!Number.isSafeInteger(byteOffset) || byteOffset < 0)
      this.#scan.fail('the byte offset is not a natural number', offsetAt);
    this.#constants.push({
      kind: 'weight',
      value,
      data: this.#weight({ ...declaration, from: { file, key, byteOffset } }),
    });
  }

  #literalLine(): void {
    const at = this.#scan.at;
    const value = this.#definition();
    const shape = this.#numbers(at, value.type);
    this.#scan.expect('=');
    const valuesAt = this.#scan.at;
    const values = this.#attempt(valuesAt, () => {
      if (!this.#scan.accept('[')) return [parseNumber(this.#scan.number('a number or a list of numbers'))];
      const list = parseList(`[${this.#scan.until(']\n')}]`).map(parseNumber);
      this.#scan.expect(']');
      return list;
    });
    const tensor = this.#attempt(valuesAt, () => tensorOf(value.type.dtype, shape, values));
    this.#constants.push({ kind: 'literal', value, tensor });
  }

  #node(): void {
    const results: Value[] = [];
    // Results come into being after the operands are read: a node cannot use itself.
    do {
      if (results.length > 0) this.#scan.expect('%');
      results.push(this.#typedName());
    } while (this.#scan.accept(','));
    for (const { name } of results) this.#values.delete(name);
    this.#scan.expect('=');
    const at = this.#scan.at;
    const name = this.#scan.word('an op');
    if (!isOpName(name)) this.#scan.fail(`there is no op "${name}"`, at);
    const op = ops[name] as unknown as Op;
    const inputs: Value[] = [];
    while (this.#scan.accept('%')) {
      inputs.push(this.#reference());
      // Results of the next line begin with % too: only a comma continues the operands.
      if (!this.#scan.accept(',')) break;
    }
    this.#attempt(at, () => checkOperandCount(op, inputs.length));
    const attrs = this.#attrs(op, at);
    for (const value of results) this.#values.set(value.name, value);
    // attributes were read by the op's own codecs
    this.#nodes.push({ op: name, inputs, attrs, outputs: results } as unknown as Node);
  }

  #attrs(op: Op, opAt: number): Readonly<Record<string, unknown>> {
    const found = new Map<string, unknown>();
    if (this.#scan.accept('{'))
      do {
        const at = this.#scan.at;
        const name = this.#scan.word('an attribute');
        const codec: AttrCodec<unknown> | undefined = Object.hasOwn(op.attrs, name) ? op.attrs[name] : undefined;
        if (!codec) this.#scan.fail(`${op.name} has no attribute ${name}`, at);
        if (found.has(name)) this.#scan.fail(`${name} is given twice`, at);
        this.#scan.expect('=');
        const valueAt = this.#scan.at;
        found.set(
          name,
          this.#attempt(valueAt, () => codec.parse(this.#scan.until(',}\n'))),
        );
      } while (this.#scan.accept(','));
    if (found.size > 0) this.#scan.expect('}');
    const missing = Object.keys(op.attrs).find((name) => !found.has(name));
    if (missing !== undefined) this.#scan.fail(`${op.name} needs the attribute ${missing}`, opAt);
    return Object.fromEntries(Object.keys(op.attrs).map((name) => [name, found.get(name)]));
  }

  #port(): Port {
    const name = this.#scan.string('a name in quotes');
    this.#scan.expect('=');
    this.#scan.expect('%');
    return { name, value: this.#reference() };
  }

  #reference(): Value {
    const at = this.#scan.at;
    const name = this.#scan.name('a name');
    return this.#values.get(name) ?? this.#scan.fail(`%${name} is not defined before this`, at);
  }

  /** Gives the errors of `read` a place. */
  #attempt<T>(at: number, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof IrError) throw error;
      return this.#scan.fail((error as Error).message, at);
    }
  }
}
