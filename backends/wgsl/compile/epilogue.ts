import type { Value } from '../../../ir/graph.ts';
import type { Epilogue } from '../kernels/expression.ts';
import { expressionOf, type ScalarExpression } from '../kernels/scalar_expression.ts';
import { operandsOf, type Tail } from './tail.ts';

/** Where the columns of a kernel lie in the rows that operands have. */
export interface Columns {
  /** Columns of a row of the whole result. */
  readonly columns: number;
  /** Of the kernel's first column. */
  readonly offset: number;
}

/** Tails as epilogues of one kernel: names of operands are unique in it. */
export class EpilogueBuilder {
  readonly #values: Value[] = [];

  /** What the epilogues read, in the order of their bindings. */
  get values(): readonly Value[] {
    return this.#values;
  }

  build(tail: Tail, columns: Columns): Epilogue {
    const operands = operandsOf(tail);
    const values = [...new Set(operands.map(({ value }) => value))];
    const names = new Map(values.map((value) => [value, `e${this.#values.push(value) - 1}`]));
    const { text, functions } = expressionOf(
      expression(tail, (operand) => `${names.get(operand.value)}[${indexText(operand.by, columns)}]`),
    );
    return { text, operands: [...names.values()].map((name) => ({ name, type: 'array<f32>' })), functions };
  }
}

function expression(tail: Tail, textOf: (operand: Extract<Tail, { kind: 'operand' }>) => string): ScalarExpression {
  switch (tail.kind) {
    case 'result':
      return { text: `y${tail.index}` };
    case 'scalar':
      return { value: tail.value };
    case 'operand':
      return { text: textOf(tail) };
    case 'op':
      return { op: tail.op, inputs: tail.operands.map((operand) => expression(operand, textOf)) };
  }
}

/** The element of an operand for `row` and `column` of the kernel. */
function indexText(by: Extract<Tail, { kind: 'operand' }>['by'], { columns, offset }: Columns): string {
  const column = offset === 0 ? 'column' : `column + ${offset}u`;
  return { single: '0u', column, element: `row * ${columns}u + ${column}` }[by];
}
