import { create, toBinary } from '@bufbuild/protobuf';
import { broadcastOffsets, broadcastShapes } from '../../ir/broadcast.ts';
import type { Kernel, Kernels, Operand } from '../../ir/evaluate.ts';
import { convolutionSizes, patchesOf } from '../../ir/ops/conv2d.ts';
import type { AttrsOf } from '../../ir/ops/index.ts';
import { takeF64 } from '../../ir/scratch.ts';
import { elementCount, readInto, readTensor, tensorData, type Tensor, type TensorData } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType as DataType,
} from './proto/onnx_pb.ts';
import { KernelThread, type Lent, type Product } from './kernel_thread.ts';
import { loadRuntime } from './runtime.ts';
import { IR_VERSION, OPSET } from './version.ts';

/**
 * Elements of a weight that one product takes: 32 MB of f32. Where a block begins does not depend on the machine.
 */
const BLOCK_ELEMENTS = 8 * 1024 * 1024;

/**
 * Threads of a product, on every machine: how one is cut among threads decides the order of its sums, and what a
 * calibration finds must not depend on where it ran.
 */
const THREADS = 4;

/** Elements of a matrix of computed values that one product takes or makes: 32 MB of float64. */
const PRODUCT_ELEMENTS = 4 * 1024 * 1024;

/** Elements that an op of single elements takes at once. */
const ELEMENTWISE_ELEMENTS = 2 * 1024 * 1024;

export interface KernelOptions {
  /** Elements of a weight that one product takes. */
  readonly blockElements?: number;
}

/**
 * The evaluator's products by ONNX Runtime, in float64 as the definition has them, 50 to 100 times as fast as its
 * loops. Each is a graph of one product on operands that are widened from f32, in which the elements of all floats of
 * the IR are exact: nothing of our lowering, its fusions, masks or caches is in it. Weights stay unread but for the
 * block in hand. Only the order of a sum differs from the definition's: by at most a few 1e-16 of the sum of the
 * magnitudes.
 * @throws BackendError when onnxruntime-node is not installed
 */
export async function evaluatorKernels({ blockElements = BLOCK_ELEMENTS }: KernelOptions = {}): Promise<Kernels> {
  // an absent runtime is told here, and not by the thread
  await loadRuntime();
  const thread = (shared ??= new KernelThread({
    rows: productModel('rows'),
    columns: productModel('columns'),
    tanh: tanhModel(),
    threads: THREADS,
  }));
  const [operands, results] = [new BlockMemory(), new BlockMemory()];

  /** Lends memory of an operand and of a result to the thread. The result is `use`d before it is given back. */
  const lend = async (
    { b: ofB, y: ofY }: { readonly b: number; readonly y: number },
    fill: (b: Float32Array<ArrayBuffer>) => Promise<void> | void,
    compute: (lent: Lent) => Promise<Product>,
    use: (y: Float64Array) => void,
  ): Promise<void> => {
    let [b, y] = [await operands.take(4 * ofB), await results.take(8 * ofY)];
    try {
      const lent = { b: new Float32Array(b, 0, ofB), y: new Float64Array(y, 0, ofY) };
      await fill(lent.b);
      const made = await compute(lent);
      [b, y] = [made.b!.buffer, made.y.buffer];
      use(made.y);
    } finally {
      operands.giveBack(b);
      results.giveBack(y);
    }
  };

  /** x[rows, inner] · weight[outer, inner]ᵀ + bias, weight unread: one block is read while another is multiplied. */
  const linear = async (
    x: Float32Array,
    { rows, bias }: { readonly rows: number; readonly bias: Tensor | undefined },
    weight: TensorData,
  ): Promise<Float64Array> => {
    const outer = weight.shape[0]!;
    const inner = elementCount(weight.shape.slice(1));
    const out = takeF64(rows * outer);
    if (bias) for (let r = 0; r < rows; r++) out.set(bias.data, r * outer);
    else out.fill(0);
    if (out.length === 0 || inner === 0) return out;
    const floats = castData(weight, 'f32');
    const step = Math.min(outer, Math.max(1, Math.floor(blockElements / inner)));
    const left = thread.left(x);
    const blocks: Promise<void>[] = [];
    for (let first = 0; first < outer; first += step) {
      const n = Math.min(outer, first + step) - first;
      const range = { begin: first * inner * 4, end: (first + n) * inner * 4 };
      const block = lend(
        { b: n * inner, y: rows * n },
        ({ buffer, byteLength }) => readInto(floats, new Uint8Array(buffer, 0, byteLength), range),
        (lent) => thread.block({ left, m: rows, k: inner, n, ...lent }),
        (y) => addColumns(y, { rows, outer, first }, out),
      );
      blocks.push(block);
    }
    try {
      await Promise.all(blocks);
    } finally {
      await Promise.allSettled(blocks);
      thread.forget(left);
    }
    return out;
  };

  const linearKernel: Kernel = async ([x, weight, bias]) => {
    const input = await valuesOf(x!);
    const rows = elementCount(input.shape.slice(0, -1));
    const matrix = unreadOf(weight!);
    const added = bias && (await valuesOf(bias));
    const data = await linear(floatsOf(input), { rows, bias: added }, matrix);
    return [{ shape: [...input.shape.slice(0, -1), matrix.shape[0]!], data }];
  };

  /** Windows of the picture as rows, by the kernel as a matrix [out, channels · kh · kw]. */
  const conv2d: Kernel = async ([x, weight, bias], attrs) => {
    const convolution = attrs as AttrsOf<'conv2d'>;
    const [input, matrix, added] = [await valuesOf(x!), unreadOf(weight!), await valuesOf(bias!)];
    const { batch, rows, columns } = convolutionSizes(input.shape, matrix.shape, convolution);
    const out = matrix.shape[0]!;
    const places = rows * columns;
    const products = await linear(
      patchesOf(input, matrix.shape, convolution),
      { rows: batch * places, bias: added },
      matrix,
    );
    const data = new Float64Array(products.length);
    for (let b = 0; b < batch; b++)
      for (let p = 0; p < places; p++)
        for (let o = 0; o < out; o++) data[(b * out + o) * places + p] = products[(b * places + p) * out + o]!;
    return [{ shape: [batch, out, rows, columns], data }];
  };

  const matmul: Kernel = async ([left, right]) => {
    const [a, b] = [await valuesOf(left!), await valuesOf(right!)];
    const [m, k, n] = [a.shape.at(-2)!, a.shape.at(-1)!, b.shape.at(-1)!];
    const [leadA, leadB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
    const lead = broadcastShapes([leadA, leadB]) as number[];
    const [matrixA, matrixB] = [broadcastOffsets(leadA, lead), broadcastOffsets(leadB, lead)];
    const shape = [...lead, m, n];
    const count = elementCount(lead);
    if (elementCount(shape) === 0 || k === 0) return [{ shape, data: new Float64Array(elementCount(shape)) }];
    const pairs = new Int32Array(2 * count);
    for (let i = 0; i < count; i++) pairs.set([matrixA ? matrixA[i]! : i, matrixB ? matrixB[i]! : i], 2 * i);
    const step = Math.max(1, Math.floor(PRODUCT_ELEMENTS / Math.max(k, n, 1)));
    const data = await thread.matmul({ x: floatsOf(a), y: floatsOf(b), m, k, n, step, pairs });
    return [{ shape, data }];
  };

  /** Some elements at a time, by the memory of the blocks. */
  const tanh: Kernel = async ([x]) => {
    const { shape, data } = await valuesOf(x!);
    const out = takeF64(data.length);
    const parts: Promise<void>[] = [];
    for (let first = 0; first < data.length; first += ELEMENTWISE_ELEMENTS) {
      const own = data.subarray(first, first + ELEMENTWISE_ELEMENTS);
      const part = lend(
        { b: own.length, y: own.length },
        (b) => b.set(own),
        (lent) => thread.tanh(lent),
        (y) => out.set(y, first),
      );
      parts.push(part);
    }
    await Promise.all(parts);
    return [{ shape, data: out }];
  };
  return { linear: linearKernel, conv2d, matmul, tanh };
}

/** Adds the columns first.. of out[rows, outer]. */
function addColumns(
  product: Float64Array,
  { rows, outer, first }: { readonly rows: number; readonly outer: number; readonly first: number },
  out: Float64Array,
): void {
  const count = product.length / rows;
  for (let r = 0; r < rows; r++)
    for (let c = 0, from = r * count, at = r * outer + first; c < count; c++)
      out[at + c] = out[at + c]! + product[from + c]!;
}

async function valuesOf(operand: Operand): Promise<Tensor> {
  return 'chunks' in operand ? readTensor(operand) : operand;
}

function unreadOf(operand: Operand): TensorData {
  return 'chunks' in operand ? operand : tensorData(operand);
}

/** Elements of a float tensor, which f32 holds exactly whatever its dtype. */
function floatsOf({ data }: Tensor): Float32Array {
  return data instanceof Float32Array ? data : Float32Array.from(data);
}

/** One thread for all: its sessions take a while to make. */
let shared: KernelThread | undefined;

/**
 * Memory of blocks of weights: touching fresh pages would cost more than reading into them. Two at a time, one that is
 * read into and one that is multiplied; who wants more waits.
 */
class BlockMemory {
  readonly #free: (ArrayBuffer | undefined)[] = [undefined, undefined];
  readonly #waiting: ((memory: ArrayBuffer | undefined) => void)[] = [];

  async take(byteLength: number): Promise<ArrayBuffer> {
    const known =
      this.#free.length > 0
        ? this.#free.pop()
        : await new Promise<ArrayBuffer | undefined>((resolve) => this.#waiting.push(resolve));
    return known && known.byteLength >= byteLength ? known : new ArrayBuffer(byteLength);
  }

  giveBack(memory: ArrayBuffer): void {
    const next = this.#waiting.shift();
    if (next) next(memory);
    else this.#free.push(memory);
  }
}

/** One product of f32 operands, widened, in one graph: a · bᵀ of b[n, k] by rows, a · b of b[k, n] by columns. */
function productModel(by: 'rows' | 'columns'): Uint8Array {
  const product =
    by === 'rows'
      ? { opType: 'Gemm', attribute: [{ name: 'transB', type: AttributeType.INT, i: 1n }] }
      : { opType: 'MatMul', attribute: [] };
  return modelOf(
    { ...product, input: ['a.f64', 'b.f64'] },
    { a: ['m', 'k'], b: by === 'rows' ? ['n', 'k'] : ['k', 'n'] },
    ['m', 'n'],
  );
}

/** tanh in float64, of f32: the evaluator's own loop takes as long for it as for ten products of its operand. */
function tanhModel(): Uint8Array {
  return modelOf({ opType: 'Tanh', attribute: [], input: ['a.f64'] }, { a: ['n'] }, ['n']);
}

/** One node on f32 inputs that are widened; its output in float64. */
function modelOf(
  node: { readonly opType: string; readonly attribute: object[]; readonly input: string[] },
  inputs: Readonly<Record<string, readonly string[]>>,
  output: readonly string[],
): Uint8Array {
  const port = (name: string, elemType: DataType, sizes: readonly string[]) => ({
    name,
    type: {
      value: {
        case: 'tensorType' as const,
        value: {
          elemType,
          shape: { dim: sizes.map((size) => ({ value: { case: 'dimParam' as const, value: size } })) },
        },
      },
    },
  });
  const widened = (name: string) => ({
    opType: 'Cast',
    input: [name],
    output: [`${name}.f64`],
    attribute: [{ name: 'to', type: AttributeType.INT, i: BigInt(DataType.DOUBLE) }],
  });
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(IR_VERSION),
      opsetImport: [{ domain: '', version: BigInt(OPSET) }],
      graph: {
        name: 'kernel',
        node: [...Object.keys(inputs).map(widened), { ...node, output: ['y'] }],
        input: Object.entries(inputs).map(([name, sizes]) => port(name, DataType.FLOAT, sizes)),
        output: [port('y', DataType.DOUBLE, output)],
      },
    }),
  );
}
