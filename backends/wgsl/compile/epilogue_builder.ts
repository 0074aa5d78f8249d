import type { Value } from '../../../ir/graph.ts';
import type { Epilogue } from '../kernels/epilogue.ts';
import { expressionOf, type ScalarExpression } from '../kernels/scalar_expression.ts';
import { operandsOf, type EpilogueTree } from './epilogue.ts';

/** Where the columns of a kernel lie in the rows that operands have. */
export interface Columns {
  /** Columns of a row of the whole result. */
  readonly columns: number;
  /** Of the kernel's first column. */
  readonly offset: number;
}

/** Epilogues of one kernel as WGSL: names of operands are unique in it. */
export class EpilogueBuilder {
  readonly #values: Value[] = [];

  /** What the epilogues read, in the order of their bindings. */
  get values(): readonly Value[] {
    return this.#values;
  }

  build(tree: EpilogueTree, columns: Columns): Epilogue {
    const operands = operandsOf(tree);
    const values = [...new Set(operands.map(({ value }) => value))];
    const names = new Map(values.map((value) => [value, `e${this.#values.push(value) - 1}`]));
    const { text, functions } = expressionOf(
      expression(tree, (operand) => `${names.get(operand.value)}[${indexText(operand.by, columns)}]`),
    );
    return { text, operands: [...names.values()].map((name) => ({ name, type: 'array<f32>' })), functions };
  }
}

function expression(
  tree: EpilogueTree,
  textOf: (operand: Extract<EpilogueTree, { kind: 'operand' }>) => string,
): ScalarExpression {
  switch (tree.kind) {
    case 'result':
      return { text: `y${tree.index}` };
    case 'scalar':
      return { value: tree.value };
    case 'operand':
      return { text: textOf(tree) };
    case 'op':
      return { op: tree.op, attrs: tree.attrs, inputs: tree.operands.map((operand) => expression(operand, textOf)) };
  }
}

/** The element of an operand for `row` and `column` of the kernel. */
function indexText(by: Extract<EpilogueTree, { kind: 'operand' }>['by'], { columns, offset }: Columns): string {
  const column = offset === 0 ? 'column' : `column + ${offset}u`;
  return { single: '0u', column, element: `row * ${columns}u + ${column}` }[by];
}
