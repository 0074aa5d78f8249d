import { GraphBuilder } from '../../ir/builder.ts';
import { parseDim, type Dim } from '../../ir/dim.ts';
import type { DType } from '../../ir/dtypes/index.ts';
import type { Graph } from '../../ir/graph.ts';
import { ops, type OpName } from '../../ir/ops/index.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { tensorData, tensorOf, type Tensor } from '../../ir/tensor.ts';

/**
 * An operand: `f[b,s,8]` is a graph input, `w[8]` a weight, `l[]` a literal; `i` is an i64 input, `p` a bool one, `g`
 * always f32; `s[8]` scales of codes. A tensor is a literal too.
 */
export type Operand = string | Tensor | { readonly weight: Tensor };

export interface OpCase {
  readonly title: string;
  readonly operands: readonly Operand[];
  readonly attrs?: Readonly<Record<string, unknown>>;
  /** Further inputs of the graph, which only tell sizes. */
  readonly beside?: readonly string[];
  /** Values of symbols, one run for each. */
  readonly sizes: readonly Readonly<Record<string, number>>[];
  /** Element types in place of `f`, `w` and `l`; default f32 and f16. */
  readonly dtypes?: readonly DType[];
}

/** A case of an elementwise composite, with what each of its elements is. */
export interface FormulaCase extends OpCase {
  /** Of the elements of the operands, in float64. Shares no code with the op. */
  readonly formula: (...elements: readonly number[]) => number;
}

/** A graph of one op with its inputs for given sizes. `prefix` begins all its names, that several fit one program. */
export function opGraph(name: OpName, { operands, attrs = {}, beside = [] }: OpCase, dtype: DType, prefix = ''): Graph {
  const b = new GraphBuilder(`${prefix}${name}`);
  beside.forEach((text, i) => b.input(`${prefix}z${i}`, { dtype: 'i64', shape: parseOperand(text).shape }));
  const values = operands.map((operand, i) => {
    if (typeof operand !== 'string')
      return 'weight' in operand
        ? b.weight(`${prefix}w${i}`, tensorData(operand.weight))
        : b.literalTensor(operand, `${prefix}l${i}`);
    const { kind, shape } = parseOperand(operand);
    const weight = () => randomTensor(dtype, shape as number[], 31 + i);
    if (kind === 'w') return b.weight(`${prefix}w${i}`, tensorData(weight()));
    if (kind === 's')
      return b.weight(
        `${prefix}w${i}`,
        tensorData(
          tensorOf(
            dtype,
            shape as number[],
            weight().data.map((x) => x / 128),
          ),
        ),
      );
    if (kind === 'l') return b.literalTensor(weight(), `${prefix}l${i}`);
    return b.input(`${prefix}x${i}`, { dtype: inputDTypes[kind] ?? dtype, shape });
  });
  b.node(ops[name], values, attrs).forEach((value, i) => b.output(`${prefix}y${i}`, value));
  return b.build();
}

/** Random inputs; sizes of 0 give empty tensors. */
export function opInputs(graph: Graph, sizes: Readonly<Record<string, number>>, seed: number): Record<string, Tensor> {
  const value = (dim: Dim): number =>
    typeof dim === 'number' ? dim : dim.terms.reduce((sum, [symbol, c]) => sum + c * sizes[symbol]!, dim.offset);
  return Object.fromEntries(
    graph.inputs.map(({ name, type }, i) => [name, randomTensor(type.dtype, type.shape.map(value), seed + i)]),
  );
}

const inputDTypes: Readonly<Record<string, DType>> = { i: 'i64', p: 'bool', g: 'f32' };

function parseOperand(text: string): { kind: string; shape: Dim[] } {
  const [, kind, dims] = /^(\w)\[(.*)\]$/.exec(text) ?? [];
  if (kind === undefined || dims === undefined) throw new Error(`operand ${text}`);
  return { kind, shape: dims === '' ? [] : dims.split(',').map(parseDim) };
}
