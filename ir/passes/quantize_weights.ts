import type { GraphBuilder } from '../builder.ts';
import type { FormatName } from '../formats/index.ts';
import type { Constant, Graph, Node, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import type { QuantizedMatrix } from '../quantize/lazy_matrix.ts';
import type { Scheme } from '../quantize/scheme.ts';
import { rewriteGraph } from '../rewrite.ts';
import type { TensorData } from '../tensor.ts';
import { castData } from '../views/cast.ts';
import type { Pass } from './pass.ts';

/** An f32 matrix that the pass may put in blocks: of a product, [out, in], or a table of rows. */
export interface QuantizableWeight {
  readonly name: string;
  readonly kind: 'linear' | 'embedding';
  readonly shape: readonly [number, number];
}

export interface QuantizeWeightsOptions {
  /** How a weight is stored: in blocks, as f16 that is widened before use, or, undefined, as it is. */
  readonly schemeOf: (weight: QuantizableWeight) => Scheme | 'f16' | undefined;
  /** Codes of the weight of that name; nothing is read before their chunks are asked for. */
  readonly quantize: (data: TensorData, scheme: Scheme, name: string) => QuantizedMatrix;
}

/**
 * linear(x, w, b) becomes add(quantized_linear(x, codes of w), b), and gather(w, ids) quantized_gather. Runs before
 * castFloats, which then decides where the new ops compute. Results keep their names.
 */
export function quantizeWeights({ schemeOf, quantize }: QuantizeWeightsOptions): Pass {
  return {
    name: 'quantize_weights',
    doc: 'Matrices of products and tables of rows are stored in blocks of codes with a scale each.',
    rounds: 'weights',
    run(graph) {
      const made = new Map<Constant, Stored | undefined>();
      return rewriteGraph(graph, (node, { inputs, builder, definitionOf }) => {
        const found = matrixOf(node, (operand) => definitionOf(inputs[operand]!));
        if (!found) return undefined;
        const { weight, kind } = found;
        if (!made.has(weight)) made.set(weight, store(builder, weight, schemeOf(describe(weight, kind)), quantize));
        const stored = made.get(weight);
        return (
          stored &&
          (kind === 'linear' ? linearBy(builder, node, inputs, stored) : gatherBy(builder, node, inputs[1]!, stored))
        );
      });
    },
  };
}

/** The name of a product whose layer's result, with its bias, is `name`. */
export function productName(name: string): string {
  return `${name}.product`;
}

/** The matrices of a graph that the pass would ask about, each once. */
export function quantizableWeights({ nodes, constants }: Graph): readonly QuantizableWeight[] {
  const definitions = new Map(constants.map((constant) => [constant.value, constant]));
  const found = new Map<Constant, QuantizableWeight>();
  for (const node of nodes) {
    const matrix = matrixOf(node, (operand) => definitions.get(node.inputs[operand]!));
    if (matrix && !found.has(matrix.weight)) found.set(matrix.weight, describe(matrix.weight, matrix.kind));
  }
  return [...found.values()];
}

type WeightConstant = Extract<Constant, { kind: 'weight' }>;

function matrixOf(
  node: Node,
  definitionOf: (operand: number) => Node | Constant | undefined,
): { weight: WeightConstant; kind: QuantizableWeight['kind'] } | undefined {
  if (node.op !== 'linear' && node.op !== 'gather') return undefined;
  const weight = definitionOf(node.op === 'linear' ? 1 : 0);
  if (
    !weight ||
    !('kind' in weight) ||
    weight.kind !== 'weight' ||
    weight.data.dtype !== 'f32' ||
    weight.data.shape.length !== 2
  )
    return undefined;
  return { weight, kind: node.op === 'linear' ? 'linear' : 'embedding' };
}

function describe(
  { value: { name }, data: { shape } }: WeightConstant,
  kind: QuantizableWeight['kind'],
): QuantizableWeight {
  return { name, kind, shape: shape as [number, number] };
}

/** A matrix in its new form: one value of f16, or codes, scales and, where there are, zero points. */
type Stored =
  | { readonly kind: 'f16'; readonly value: Value }
  | {
      readonly kind: 'blocks';
      readonly values: readonly Value[];
      readonly attrs: { readonly format: FormatName; readonly columns: number };
    };

function store(
  b: GraphBuilder,
  { value: { name }, data }: WeightConstant,
  scheme: Scheme | 'f16' | undefined,
  quantize: QuantizeWeightsOptions['quantize'],
): Stored | undefined {
  if (scheme === undefined) return undefined;
  if (scheme === 'f16') return { kind: 'f16', value: b.weight(`${name}.f16`, castData(data, 'f16')) };
  const { q, scales, zeros } = quantize(data, scheme, name);
  const values = [
    b.weight(`${name}.codes`, q),
    b.weight(`${name}.scales`, scales),
    ...(zeros ? [b.weight(`${name}.zeros`, zeros)] : []),
  ];
  return { kind: 'blocks', values, attrs: { format: scheme.format, columns: data.shape[1]! } };
}

function linearBy(b: GraphBuilder, { outputs }: Node, [x, , bias]: readonly Value[], stored: Stored): readonly Value[] {
  const names = outputs.map((value) => value.name);
  if (stored.kind === 'f16') {
    const matrix = b.node(ops.cast, [stored.value], { to: 'f32' }, [`${stored.value.name}.widened`])[0]!;
    return b.node(ops.linear, [x!, matrix, ...(bias ? [bias] : [])], {}, names);
  }
  const operands = [x!, ...stored.values];
  const { attrs } = stored;
  if (!bias) return b.node(ops.quantized_linear, operands, attrs, names);
  return b.node(ops.add, [b.node(ops.quantized_linear, operands, attrs, names.map(productName))[0]!, bias], {}, names);
}

/** Rows of f16 are widened after they are taken: the table is not. */
function gatherBy(b: GraphBuilder, { outputs }: Node, indices: Value, stored: Stored): readonly Value[] {
  const names = outputs.map((value) => value.name);
  if (stored.kind === 'f16')
    return b.node(
      ops.cast,
      [
        b.node(
          ops.gather,
          [stored.value, indices],
          {},
          names.map((name) => `${name}.f16`),
        )[0]!,
      ],
      { to: 'f32' },
      names,
    );
  const [table, ...factors] = stored.values;
  return b.node(ops.quantized_gather, [table!, indices, ...factors], stored.attrs, names);
}
