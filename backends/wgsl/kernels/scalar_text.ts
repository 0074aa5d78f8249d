import type { AttrCodec } from '../../../ir/attr.ts';
import { GraphBuilder } from '../../../ir/builder.ts';
import type { Value } from '../../../ir/graph.ts';
import type { Composite, Op } from '../../../ir/op.ts';
import { ops } from '../../../ir/ops/index.ts';
import { nodeHasTrait } from '../../../ir/ops/traits.ts';
import { BackendError } from '../../error.ts';
import type { ElementType } from '../bundle/plan.ts';
import { elementTypeOf } from './element_type.ts';
import { literalText } from './literal_text.ts';
import { SCALAR_OPS, type ScalarOp, type ScalarText } from './scalar_ops.ts';

/** An elementwise op with its attributes, where it has some. */
export interface ScalarFunction {
  readonly op: ScalarOp;
  readonly attrs?: Readonly<Record<string, unknown>> | undefined;
}

/** An element that a kernel has in a register. */
export interface ScalarOperand {
  readonly text: string;
  readonly type: ElementType;
}

/**
 * An op applied to operands, with a result of type `type`: by its own text, or, for a composite that has none, as a
 * call of a function that computes what it is made of. @throws BackendError for NaN in a composite
 */
export function scalarText(
  { op, attrs = {} }: ScalarFunction,
  operands: readonly ScalarOperand[],
  type: ElementType,
): ScalarText {
  const write = SCALAR_OPS[op];
  if (write) return write(texts(operands), type);
  const types = operands.map((operand) => operand.type);
  const name = functionName(op, attrs, types);
  return { text: `${name}(${texts(operands).join(', ')})`, functions: functionOf(name, op, attrs, types, type) };
}

function texts(operands: readonly ScalarOperand[]): readonly string[] {
  return operands.map(({ text }) => text);
}

/** Equal for equal functions only: WGSL has no overloading. */
function functionName(op: ScalarOp, attrs: Readonly<Record<string, unknown>>, types: readonly ElementType[]): string {
  const schema: Readonly<Record<string, AttrCodec<unknown>>> = ops[op].attrs;
  const values = Object.entries(schema).map(([key, codec]) => `${key}_${codec.print(attrs[key])}`);
  return [op, 'of', ...types, ...values].join('_').replaceAll(/\W/g, (c) => `_${c.charCodeAt(0).toString(16)}`);
}

/** The IR's dtype whose elements lie as these. */
const DTYPES = { f32: 'f32', i32: 'i32', bool: 'bool' } as const satisfies { readonly [T in ElementType]: string };

/** A composite as a WGSL function of scalars, behind those that it calls. */
function functionOf(
  name: string,
  op: ScalarOp,
  attrs: Readonly<Record<string, unknown>>,
  types: readonly ElementType[],
  result: ElementType,
): readonly string[] {
  const b = new GraphBuilder(name);
  const inputs = types.map((type, i) => b.input(`x${i}`, { dtype: DTYPES[type], shape: [] }));
  const [y] = (ops[op] as Op as Composite).decompose(b, inputs, attrs);
  const { constants, nodes } = b.build();
  const known = new Map<Value, ScalarOperand>(inputs.map((x, i) => [x, { text: x.name, type: types[i]! }]));
  for (const constant of constants) {
    const type = typeOf(constant.value);
    if (constant.kind === 'literal' && constant.tensor.data.length === 1)
      known.set(constant.value, { text: literalText({ type, value: constant.tensor.data[0]! }), type });
  }
  const functions = new Set<string>();
  const statements = nodes.map((node, i) => {
    const [value] = node.outputs as readonly [Value];
    const operands = node.inputs.map((input) => known.get(input));
    if (!nodeHasTrait(node, 'elementwise') || !operands.every((operand) => operand !== undefined))
      throw new BackendError('unsupported', `${op} is no function of single elements: it is made of ${node.op}`);
    const type = typeOf(value);
    const step = scalarText(node, operands, type);
    for (const definition of step.functions) functions.add(definition);
    known.set(value, { text: `v${i}`, type });
    return `  let v${i} = ${step.text};`;
  });
  const parameters = inputs.map((x, i) => `${x.name}: ${types[i]!}`).join(', ');
  const body = [...statements, `  return ${known.get(y!)!.text};`].join('\n');
  return [...functions, `fn ${name}(${parameters}) -> ${result} {\n${body}\n}`];
}

function typeOf({ type: { dtype } }: Value): ElementType {
  const type = elementTypeOf(dtype);
  if (type) return type;
  throw new BackendError('unsupported', `the WGSL backend does not compute single values of ${dtype}`);
}
