import type { Dim } from '../../../ir/dim.ts';
import { BackendError } from '../../error.ts';
import { coordinateTexts, flatText, isPacked, offsetText, sameUpToOnes, wrapped } from './indexing.ts';
import { literalText } from './literal_text.ts';
import { scalarText } from './scalar_text.ts';
import type { ValueExpression } from './value_expression.ts';
import { dimText } from './wgsl_text.ts';

/**
 * An element of a tensor, by its coordinates, by its number in C order, or both: the other is computed when it is asked
 * for.
 */
interface Place {
  readonly shape: readonly Dim[];
  readonly coordinates?: readonly string[];
  readonly flat?: string;
}

type Node<Kind extends ValueExpression['kind']> = Extract<ValueExpression, { kind: Kind }>;

/** Writes the statements that compute elements of expressions, and the functions that they call. */
export class ExpressionWriter {
  readonly statements: string[] = [];
  readonly functions = new Set<string>();
  readonly #known = new Map<ValueExpression, Map<string, string>>();
  readonly #coordinates = new Map<string, readonly string[]>();

  /** A name or literal for the element with this number in C order. */
  elementAt(expression: ValueExpression, index: string): string {
    return this.#at(expression, { shape: expression.shape, flat: index });
  }

  /** Its coordinates, each a name. */
  coordinatesOf(index: string, shape: readonly Dim[]): readonly string[] {
    return this.#coordinatesOf({ shape, flat: index });
  }

  #at(expression: ValueExpression, place: Place): string {
    const key = place.flat ?? place.coordinates!.join();
    const texts = this.#known.get(expression) ?? new Map<string, string>();
    this.#known.set(expression, texts);
    const text = texts.get(key) ?? this.#textOf(expression, place);
    texts.set(key, text);
    return text;
  }

  #textOf(expression: ValueExpression, place: Place): string {
    switch (expression.kind) {
      case 'operand':
        return this.#operand(expression, place);
      case 'literal':
        return literalText(expression);
      case 'dim':
        return signedText(expression.dim);
      case 'iota':
        return `i32(${place.flat ?? place.coordinates![0]!})`;
      case 'op':
        return this.#op(expression, place);
      case 'reshape':
        return this.#at(expression.input, this.#reshaped(place, expression.input.shape));
      case 'expand':
        return this.#at(expression.input, this.#broadcast(place, expression.input.shape));
      case 'transpose':
      case 'slice':
      case 'take_last':
        return this.#at(expression.input, {
          shape: expression.input.shape,
          coordinates: this.#moved(expression, this.#coordinatesOf(place)),
        });
      case 'concat':
        return this.#concat(expression, place);
      case 'gather':
        return this.#gather(expression, place);
    }
  }

  #operand({ index, type, shape }: Node<'operand'>, place: Place): string {
    const offset =
      place.flat !== undefined && isPacked(shape) ? place.flat : offsetText(this.#coordinatesOf(place), shape);
    const element = `x${index}[${offset}]`;
    return this.#let('v', type === 'bool' ? `${element} != 0u` : element);
  }

  #op({ op, attrs, inputs, type }: Node<'op'>, place: Place): string {
    const operands = inputs.map((input) => ({
      text: this.#at(input, this.#broadcast(place, input.shape)),
      type: input.type,
    }));
    const { text, functions } = scalarText({ op, attrs }, operands, type);
    for (const definition of functions) this.functions.add(definition);
    return this.#let('v', text);
  }

  #moved(node: Node<'transpose' | 'slice' | 'take_last'>, coordinates: readonly string[]): readonly string[] {
    if (node.kind === 'transpose') return node.input.shape.map((_, axis) => coordinates[node.perm.indexOf(axis)]!);
    const first =
      node.kind === 'slice'
        ? `${node.begin}u`
        : `${dimText(node.input.shape[node.axis]!)} - ${dimText(node.shape[node.axis]!)}`;
    return coordinates.map((c, axis) =>
      axis !== node.axis || first === '0u'
        ? c
        : c === '0u'
          ? this.#let('i', first)
          : this.#let('i', `${wrapped(c)} + ${first}`),
    );
  }

  /** Both sides are read at coordinates within them, and one is taken. */
  #concat({ axis, inputs, shape, type }: Node<'concat'>, place: Place): string {
    const coordinates = this.#coordinatesOf(place);
    let rest = shape[axis] === 1 ? '0u' : coordinates[axis]!;
    let chosen: string | undefined;
    const conditions: string[] = [];
    for (const [i, input] of inputs.entries()) {
      const size = dimText(input.shape[axis]!);
      const isLast = i === inputs.length - 1;
      const own = isLast ? rest : this.#let('i', `min(${rest}, ${size} - 1u)`);
      const value = this.#at(input, {
        shape: input.shape,
        coordinates: coordinates.map((c, j) => (j === axis ? own : c)),
      });
      chosen = chosen === undefined ? value : this.#let('v', `select(${chosen}, ${value}, ${conditions.at(-1)})`);
      if (isLast) break;
      conditions.push(
        this.#let('is_behind', `${conditions.length > 0 ? `${conditions.at(-1)} && ` : ''}${rest} >= ${size}`),
      );
      rest = this.#let('i', `select(0u, ${rest} - ${size}, ${conditions.at(-1)})`);
    }
    if (chosen === undefined) throw new BackendError('unsupported', `concat of nothing as ${type}`);
    return chosen;
  }

  #gather({ table, indices }: Node<'gather'>, place: Place): string {
    const coordinates = this.#coordinatesOf(place);
    const rank = indices.shape.length;
    const row = this.#let(
      'row',
      `u32(${this.#at(indices, { shape: indices.shape, coordinates: coordinates.slice(0, rank) })})`,
    );
    return this.#at(table, { shape: table.shape, coordinates: [row, ...coordinates.slice(rank)] });
  }

  /** Where the element lies in a tensor that is broadcast to this place's shape. */
  #broadcast(place: Place, shape: readonly Dim[]): Place {
    if (place.flat !== undefined && sameUpToOnes(place.shape, shape)) return { shape, flat: place.flat };
    if (shape.every((dim) => dim === 1)) return { shape, flat: '0u' };
    const coordinates = this.#coordinatesOf(place).slice(place.shape.length - shape.length);
    return { shape, coordinates: coordinates.map((c, axis) => (shape[axis] === 1 ? '0u' : c)) };
  }

  #reshaped(place: Place, shape: readonly Dim[]): Place {
    if (place.flat !== undefined) return { shape, flat: place.flat };
    if (sameUpToOnes(place.shape, shape)) {
      const rest = place.coordinates!.filter((_, axis) => place.shape[axis] !== 1);
      let next = 0;
      return { shape, coordinates: shape.map((dim) => (dim === 1 ? '0u' : rest[next++]!)) };
    }
    return { shape, flat: this.#let('flat', flatText(place.coordinates!, place.shape)) };
  }

  #coordinatesOf({ shape, coordinates, flat }: Place): readonly string[] {
    if (coordinates) return coordinates;
    const texts = coordinateTexts(flat!, shape);
    const key = texts.join();
    const names = this.#coordinates.get(key) ?? texts.map((text) => (/^\w+$/.test(text) ? text : this.#let('i', text)));
    this.#coordinates.set(key, names);
    return names;
  }

  #let(prefix: string, text: string): string {
    const name = `${prefix}${this.statements.length}`;
    this.statements.push(`let ${name} = ${text};`);
    return name;
  }
}

/** A size as i32: here, unlike where memory is counted, terms may be subtracted. */
function signedText(dim: Dim): string {
  if (typeof dim === 'number') return literalText({ type: 'i32', value: dim });
  const terms = dim.terms.map(([name, factor]) =>
    factor === 1 ? `i32(dims.${name})` : `${literalText({ type: 'i32', value: factor })} * i32(dims.${name})`,
  );
  return `(${[...terms, ...(dim.offset === 0 ? [] : [literalText({ type: 'i32', value: dim.offset })])].join(' + ')})`;
}
