import { asBackendError } from '../as_backend_error.ts';
import { openSource } from '../client/sources/open_source.ts';
import type { BundleFolder } from '../description.ts';
import { FIELD_BITS, packedStrides, type Claim, type FieldDType, type StoredField } from '../stored_field.ts';
import { placeWeights, readBundle, type PartFiles, type PlacedWeight } from './driver/bundle.ts';
import { PLAN_PATH, type TablePlan, type TableRun } from './plan.ts';

/*
 * Written from the formats that tfjs reads (GraphDef in JSON, weightsManifest with its quantization), from what its ops
 * take, and from docs/tfjs.md and docs/bundle-format.md for the packed op and for tables of the host. What writes
 * bundles is not imported here.
 */

interface Node {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[] | undefined;
  readonly attr?: Readonly<Record<string, { readonly i?: string; readonly b?: boolean }>>;
}

/** The node that takes a tensor, and as which of its inputs. */
interface Use {
  readonly node: Node;
  readonly input: number;
}

/**
 * Every weight of a bundle as the nodes of its graph models take it, and every table as the host reads its rows: bytes
 * that both use come twice. @throws BackendError for a damaged bundle
 */
export async function storedFields({ dir }: BundleFolder): Promise<readonly StoredField[]> {
  const source = openSource(dir, PLAN_PATH);
  const hint = 'copy the bundle again, or convert again';
  try {
    const { plan, parts, sizes } = await readBundle(source);
    return plan.graphs.flatMap((graph) => [
      ...graph.parts.flatMap(({ folder }) => partFields(graph.name, parts.get(folder)!)),
      ...graph.tables.flatMap((table) => {
        const own = placeWeights(source, '', table.weights, sizes);
        return table.runs.flatMap((run) => {
          const weights = run.folder === undefined ? own : parts.get(run.folder)!.weights;
          return tableFields(graph.name, table, run, new Map(weights.map((each) => [each.spec.name, each])));
        });
      }),
    ]);
  } catch (error) {
    throw asBackendError(error, { file: dir, hint });
  }
}

/** Weights of more than one element; those of whole numbers are sizes, but for packed codes. */
function partFields(graph: string, { json, weights }: PartFiles): StoredField[] {
  const nodes = json.modelTopology.node as unknown as readonly Node[];
  const readers = new Map<string, Use[]>();
  for (const node of nodes)
    for (const [input, name] of (node.input ?? []).entries())
      readers.set(name, [...(readers.get(name) ?? []), { node, input }]);
  const placed = new Map(weights.map((weight) => [weight.spec.name, weight]));
  return weights.flatMap((weight) => {
    if (elements(weight.spec.shape) < 2) return [];
    const uses = readers.get(weight.spec.name) ?? [];
    const fields = uses.flatMap(({ node, input }) => {
      const field = fieldBy(graph, weight, { node, input, placed });
      return field ? [field] : [];
    });
    return [...new Map(fields.map((field) => [JSON.stringify(field), field])).values()];
  });
}

function fieldBy(
  graph: string,
  weight: PlacedWeight,
  { node, input: at, placed }: Use & { readonly placed: ReadonlyMap<string, PlacedWeight> },
): StoredField | undefined {
  const { op, input, attr = {} } = node;
  const { shape } = weight.spec;
  if (op === 'PgQMatMul') {
    const bits = Number(attr['bits']?.i) as 4 | 8;
    const blocks = Math.ceil(Number(attr['columns']?.i) / Number(attr['group']?.i));
    const codes: Claim = { by: 'weight', names: [input![1]!] };
    if (at === 1) return packedCodes(graph, weight, codes, bits);
    if (at === 2) return scales(graph, weight, { ...codes, operand: 'scales' });
    const rows = placed.get(input![1]!)!.spec.shape[0]!;
    return packedZeros(graph, weight, { ...codes, operand: 'zeros' }, { bits, rows, blocks });
  }
  const dtype = dtypeOf(weight);
  if (!dtype) return undefined;
  const bits = FIELD_BITS[dtype];
  const plain = plainField(graph, weight, dtype);
  if ((op === 'MatMul' || op === '_FusedMatMul') && at === 1 && attr['transpose_b']?.b !== true) {
    const [inner, outer] = shape as unknown as readonly [number, number];
    return { ...plain, shape: [outer, inner], strides: [bits, outer * bits] };
  }
  if ((op === 'Conv2D' || op === 'Conv2DBackpropInput') && at === 1) {
    const [height, width, inner, outer] = shape as unknown as readonly [number, number, number, number];
    const [row, column, channel, output] = packedStrides(shape, bits) as [number, number, number, number];
    return { ...plain, shape: [outer, inner, height, width], strides: [output, channel, row, column] };
  }
  return plain;
}

/** Rows that the host looks up; those behind the last run are 0. */
function tableFields(
  graph: string,
  { input, columns }: TablePlan,
  { storage }: TableRun,
  weights: ReadonlyMap<string, PlacedWeight>,
): StoredField[] {
  const claim = (operand: string): Claim => ({ by: 'result', name: input, operand });
  const rest = { restIsZero: true } as const;
  if (storage.kind === 'float') {
    const weight = weights.get(storage.weight)!;
    return [{ ...plainField(graph, weight, dtypeOf(weight)!), claim: claim('table'), ...rest }];
  }
  const { bits, block } = storage;
  const codes = weights.get(storage.codes)!;
  const isPacked = codes.spec.dtype === 'int32';
  const whole = isPacked
    ? packedCodes(graph, codes, claim('q'), bits)
    : { ...plainField(graph, codes, 'u8'), claim: claim('q') };
  const zeros = storage.zeros === undefined ? undefined : weights.get(storage.zeros);
  const blocks = Math.ceil(columns / block);
  return [
    { ...whole, ...rest },
    { ...scales(graph, weights.get(storage.scales)!, claim('scales')), ...rest },
    ...(zeros
      ? [{ ...packedZeros(graph, zeros, claim('zeros'), { bits, rows: codes.spec.shape[0]!, blocks }), ...rest }]
      : []),
  ];
}

/** Rows of whole words of int32, codes from the lowest bits on. */
function packedCodes(graph: string, weight: PlacedWeight, claim: Claim, bits: 4 | 8): StoredField {
  const [rows, words] = weight.spec.shape as unknown as readonly [number, number];
  return {
    ...plainField(graph, weight, bits === 4 ? 'u4' : 'u8'),
    claim,
    shape: [rows, (words * 32) / bits],
    strides: [32 * words, bits],
  };
}

/** Zero points of all rows one behind the other, filled up to whole words at the end only. */
function packedZeros(
  graph: string,
  weight: PlacedWeight,
  claim: Claim,
  { bits, rows, blocks }: { readonly bits: 4 | 8; readonly rows: number; readonly blocks: number },
): StoredField {
  return {
    ...plainField(graph, weight, bits === 4 ? 'u4' : 'u8'),
    claim,
    shape: [rows, blocks],
    strides: [blocks * bits, bits],
  };
}

function scales(graph: string, weight: PlacedWeight, claim: Claim): StoredField {
  return { ...plainField(graph, weight, dtypeOf(weight)!), claim };
}

/** As its shape says, under its own name. */
function plainField(graph: string, { spec, file, offset }: PlacedWeight, dtype: FieldDType): StoredField {
  const { name, shape, quantization } = spec;
  const { min = 0 } = quantization ?? {};
  return {
    tensor: name,
    file,
    graph,
    claim: { by: 'weight', names: [name] },
    dtype,
    shape,
    firstBit: 8 * offset,
    strides: packedStrides(shape, FIELD_BITS[dtype]),
    // tfjs makes byte · scale + min of a byte: of codes with a sign those that lie around 0
    ...(dtype === 'u8' && quantization && { add: min < 0 ? min + 128 : min }),
  };
}

/** Undefined for whole numbers and for bytes that are more than shifted. */
function dtypeOf({ spec: { dtype, quantization } }: PlacedWeight): FieldDType | undefined {
  if (dtype !== 'float32') return undefined;
  if (quantization === undefined) return 'f32';
  return quantization.dtype === 'float16' ? 'f16' : 'u8';
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
