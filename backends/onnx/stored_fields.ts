import { join } from 'node:path';
import type { BundleFolder } from '../description.ts';
import { BackendError } from '../error.ts';
import { FIELD_BITS, packedStrides, type Claim, type FieldDType, type StoredField } from '../stored_field.ts';
import { readModelFile } from './decode.ts';
import type { GraphProto, NodeProto, TensorProto } from './proto/onnx_pb.ts';
import { readOnnx } from './read.ts';

/*
 * Written from ONNX's specification (operators, external data) and from the documentation of ONNX Runtime's contrib
 * ops: what writes these files is not imported here.
 */

/** TensorProto.DataType of what weights have; others are sizes and indices. */
const DTYPES: Readonly<Record<number, FieldDType>> = {
  1: 'f32',
  2: 'u8',
  3: 'i8',
  10: 'f16',
  16: 'bf16',
  21: 'u4',
  22: 'i4',
};

/** An initializer of more than one element. */
interface Stored {
  readonly name: string;
  readonly dtype: FieldDType;
  readonly dims: readonly number[];
  readonly file: string;
  readonly firstBit: number;
}

/** Where an initializer goes in, itself or cast to another dtype. */
interface Use {
  readonly node: NodeProto;
  readonly input: number;
}

/**
 * Every weight of a bundle's graphs, as the nodes that read it take it: transposed where it is the second operand of a
 * MatMul, as codes where it belongs to one of the ops over codes. One that is read in two ways comes twice.
 * @throws BackendError for a damaged bundle
 */
export async function storedFields({ dir, files }: BundleFolder): Promise<readonly StoredField[]> {
  const paths = files.map(({ path }) => path).filter((path) => path.endsWith('.onnx'));
  return (await Promise.all(paths.map((path) => fieldsIn(dir, path)))).flat();
}

async function fieldsIn(dir: string, path: string): Promise<StoredField[]> {
  const file = join(dir, path);
  const { bytes, model } = await readModelFile(file);
  const { graph } = model;
  const name = model.metadataProps.find(({ key }) => key === 'pgconv.graph')?.value ?? graph.name;
  // external data that lies outside of the folder, or of the file, is refused there
  const places = new Map((await readOnnx(file)).initializers.map((each) => [each.name, each.external]));
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : '';
  const stored = new Map<string, Stored>();
  for (const tensor of graph.initializer) {
    const dtype = DTYPES[tensor.dataType];
    const dims = tensor.dims.map(Number);
    if (!dtype || dims.reduce((product, size) => product * size, 1) < 2) continue;
    const external = places.get(tensor.name);
    stored.set(tensor.name, {
      name: tensor.name,
      dtype,
      dims,
      file: external ? `${folder}${external.location}` : path,
      firstBit: 8 * (external ? external.offset : inlineOffset(bytes, tensor, file)),
    });
  }
  const reader = new GraphReader(name, graph, stored);
  return [...stored.values()].flatMap((each) => reader.fieldsOf(each));
}

/** Where the bytes of an initializer lie in the model file. */
function inlineOffset(bytes: Uint8Array, { name, rawData }: TensorProto, file: string): number {
  const offset =
    rawData.buffer === bytes.buffer ? rawData.byteOffset - bytes.byteOffset : Buffer.from(bytes).indexOf(rawData);
  if (rawData.byteLength > 0 && offset >= 0) return offset;
  throw new BackendError('bundle-damaged', 'an initializer without raw data', {
    file,
    tensor: name,
    hint: 'convert again, or fetch the bundle again',
  });
}

class GraphReader {
  readonly #graph: string;
  readonly #stored: ReadonlyMap<string, Stored>;
  readonly #readers = new Map<string, Use[]>();

  constructor(name: string, { node: nodes }: GraphProto, stored: ReadonlyMap<string, Stored>) {
    this.#graph = name;
    this.#stored = stored;
    for (const node of nodes)
      for (const [input, tensor] of node.input.entries())
        this.#readers.set(tensor, [...(this.#readers.get(tensor) ?? []), { node, input }]);
  }

  /** One for each way in which nodes read it. */
  fieldsOf(stored: Stored): StoredField[] {
    const uses = this.#usesOf(stored.name);
    if (uses.length === 0) return [this.#field(stored, {})];
    const fields = uses.flatMap((use) => this.#fieldsBy(stored, use));
    return [...new Map(fields.map((field) => [JSON.stringify(field), field])).values()];
  }

  #usesOf(tensor: string): Use[] {
    return (this.#readers.get(tensor) ?? []).flatMap((use) =>
      use.node.opType === 'Cast' || use.node.opType === 'Identity' ? this.#usesOf(use.node.output[0]!) : [use],
    );
  }

  #fieldsBy(stored: Stored, { node, input }: Use): StoredField[] {
    const { dtype, dims } = stored;
    const bits = FIELD_BITS[dtype];
    switch (node.opType) {
      case 'MatMul':
        return [input === 1 && dims.length === 2 ? this.#columns(stored) : this.#field(stored, {})];
      case 'Gemm':
        return [input === 1 && integer(node, 'transB') !== 1 ? this.#columns(stored) : this.#field(stored, {})];
      case 'MatMulNBits':
        return this.#nBits(stored, node, input);
      case 'GatherBlockQuantized':
        return [this.#blocked(stored, node, input, { codes: 0, scales: 2, zeros: 3 })];
      case 'DequantizeLinear':
        return [this.#blocked(stored, node, input, { codes: 0, scales: 1, zeros: 2 })];
      case 'Gather': {
        const [rows, elements] = dims as readonly [number, number];
        if (dtype !== 'u8' || !this.#isParted(node)) return [this.#field(stored, {})];
        // two codes in a byte, the first in its low half
        return [this.#field(stored, { dtype: 'u4', shape: [rows, 2 * elements], strides: [bits * elements, 4] })];
      }
      default:
        return [this.#field(stored, {})];
    }
  }

  /** A matrix [in, out] of x · W. */
  #columns(stored: Stored): StoredField {
    const [inner, outer] = stored.dims as readonly [number, number];
    const bits = FIELD_BITS[stored.dtype];
    return this.#field(stored, { shape: [outer, inner], strides: [bits, outer * bits] });
  }

  /**
   * MatMulNBits of com.microsoft: B u8[N, blocks, block · bits / 8], the first of two 4-bit codes in the low half of a
   * byte; scales [N, blocks]; zero points of 4 bits in bytes of each row's own. Where the products of neighbouring rows
   * are added, those are the high and the low halves of codes of 8 bits.
   */
  #nBits(stored: Stored, node: NodeProto, input: number): StoredField[] {
    const bits = integer(node, 'bits') as 4 | 8;
    const outputs = integer(node, 'N');
    const block = integer(node, 'block_size');
    const blocks = Math.ceil(integer(node, 'K') / block);
    const codes = node.input[1]!;
    const isHalves = bits === 4 && this.#addsPairs(node);
    const rows = isHalves ? outputs / 2 : outputs;
    const dtype = bits === 4 ? 'u4' : 'u8';
    const laidOut = (elements: number, rowBits: number, claim: Claim) =>
      this.#field(stored, {
        claim,
        dtype,
        shape: [rows, elements],
        ...(isHalves
          ? { strides: [2 * rowBits, bits], firstBit: stored.firstBit + rowBits, highHalf: -rowBits }
          : { strides: [rowBits, bits] }),
      });
    if (input === 1) return [laidOut(blocks * block, blocks * block * bits, weightNamed(codes))];
    if (input === 3) return [laidOut(blocks, 8 * Math.ceil((blocks * bits) / 8), beside(codes, 'zeros'))];
    const width = FIELD_BITS[stored.dtype] * blocks;
    const scales = { claim: beside(codes, 'scales'), shape: [rows, blocks] };
    const element = FIELD_BITS[stored.dtype];
    if (!isHalves) return [this.#field(stored, { ...scales, strides: [width, element] })];
    return [
      this.#field(stored, { ...scales, strides: [2 * width, element], times: 16 }),
      this.#field(stored, { ...scales, strides: [2 * width, element], firstBit: stored.firstBit + width }),
    ];
  }

  /** Codes [N, elements], scales and zero points [N, blocks] or [N], elements one behind the other. */
  #blocked(
    stored: Stored,
    node: NodeProto,
    input: number,
    operands: { readonly codes: number; readonly scales: number; readonly zeros: number },
  ): StoredField {
    const codes = node.input[operands.codes]!;
    const claim =
      input === operands.scales
        ? beside(codes, 'scales')
        : input === operands.zeros
          ? beside(codes, 'zeros')
          : weightNamed(codes);
    const [rows, elements = 1] = stored.dims as readonly [number, number?];
    const bits = FIELD_BITS[stored.dtype];
    return this.#field(stored, { claim, shape: [rows, elements], strides: [elements * bits, bits] });
  }

  /** Whether a result [.., 2N] is made [.., N, 2] and summed over the pairs. */
  #addsPairs(node: NodeProto): boolean {
    const [reshape] = this.#readers.get(node.output[0]!) ?? [];
    const [sum] = (reshape?.node.opType === 'Reshape' && this.#readers.get(reshape.node.output[0]!)) || [];
    return sum?.node.opType === 'ReduceSum';
  }

  /** Whether gathered bytes are parted into halves before they are used: divided by 16, and the rest kept. */
  #isParted(node: NodeProto): boolean {
    return this.#usesOf(node.output[0]!).some(
      ({ node: { opType, output } }) =>
        opType === 'Mul' && (this.#readers.get(output[0]!) ?? []).some((use) => use.node.opType === 'Floor'),
    );
  }

  #field(stored: Stored, given: Partial<StoredField>): StoredField {
    const { name: tensor, dtype, dims, file, firstBit } = this.#stored.get(stored.name)!;
    return {
      tensor,
      file,
      graph: this.#graph,
      claim: weightNamed(tensor),
      dtype,
      shape: dims,
      firstBit,
      strides: packedStrides(dims, FIELD_BITS[dtype]),
      ...given,
    };
  }
}

function weightNamed(name: string): Claim {
  return { by: 'weight', names: [name] };
}

function beside(name: string, operand: string): Claim {
  return { by: 'weight', names: [name], operand };
}

/** An attribute that is a whole number; 0 where it is left out. */
function integer({ attribute }: NodeProto, name: string): number {
  return Number(attribute.find((each) => each.name === name)?.i ?? 0);
}
