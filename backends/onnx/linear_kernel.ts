import { create, toBinary } from '@bufbuild/protobuf';
import { availableParallelism } from 'node:os';
import type { Kernels } from '../../ir/evaluate.ts';
import { elementCount, readInto, type Tensor } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType as DataType,
} from './proto/onnx_pb.ts';
import { loadRuntime } from './runtime.ts';
import { IR_VERSION, OPSET } from './version.ts';

/**
 * Elements of a weight that one product takes: 32 MB of f32. Where a block begins must not depend on the machine: sums
 * do.
 */
const BLOCK_ELEMENTS = 8 * 1024 * 1024;

/**
 * `linear` for the evaluator by ONNX Runtime's f32 products, 20 to 50 times as fast as its own in float64, for models
 * of which it would take hours. Weights stay unread but for the blocks in flight. Every block is one product in one
 * thread, so results do not depend on the number of threads; they do on the instructions of the processor, in the last
 * bits of f32.
 * @throws BackendError when onnxruntime-node is not installed
 */
export async function linearKernel(blockElements = BLOCK_ELEMENTS): Promise<NonNullable<Kernels['linear']>> {
  const { InferenceSession, Tensor: OrtTensor } = await loadRuntime();
  const session = await InferenceSession.create(productModel(), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  /**
   * Memory for blocks that are being read or multiplied: touching fresh pages would cost more than reading into them.
   */
  const free: ArrayBuffer[] = [];
  const inFlight = availableParallelism();
  return async ([x, bias], weight) => {
    const [outer, inner] = weight.shape as readonly [number, number];
    const rows = elementCount(x!.shape.slice(0, -1));
    const data = new Float64Array(rows * outer);
    const a = new OrtTensor('float32', Float32Array.from(x!.data), [rows, inner]);
    const floats = castData(weight, 'f32');
    const running = new Set<Promise<void>>();
    const step = Math.min(outer, Math.max(1, Math.floor(blockElements / inner)));
    for (let first = 0; first < outer; first += step) {
      if (running.size >= inFlight) await Promise.race(running);
      const end = Math.min(outer, first + step);
      const known = free.pop();
      const memory =
        known && known.byteLength >= step * inner * 4 ? known : new ArrayBuffer(Math.max(blockElements, inner) * 4);
      await readInto(floats, new Uint8Array(memory, 0, (end - first) * inner * 4), {
        begin: first * inner * 4,
        end: end * inner * 4,
      });
      const b = new OrtTensor('float32', new Float32Array(memory, 0, (end - first) * inner), [end - first, inner]);
      const run = session
        .run({ a, b })
        .then(({ y }) => place(y!.data as Float32Array, { rows, outer, first }, bias, data));
      const tracked = run.finally(() => {
        running.delete(tracked);
        free.push(memory);
      });
      running.add(tracked);
    }
    await Promise.all(running);
    return [{ shape: [...x!.shape.slice(0, -1), outer], data }];
  };
}

/** Columns first.. of out[rows, outer], with the bias. */
function place(
  product: Float32Array,
  { rows, outer, first }: { readonly rows: number; readonly outer: number; readonly first: number },
  bias: Tensor | undefined,
  out: Float64Array,
): void {
  const count = product.length / rows;
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < count; c++)
      out[r * outer + first + c] = product[r * count + c]! + (bias ? bias.data[first + c]! : 0);
}

/** y = a · bᵀ, f32[rows, inner] by f32[outer, inner]. */
function productModel(): Uint8Array {
  const port = (name: string, sizes: readonly string[]) => ({
    name,
    type: {
      value: {
        case: 'tensorType' as const,
        value: {
          elemType: DataType.FLOAT,
          shape: { dim: sizes.map((size) => ({ value: { case: 'dimParam' as const, value: size } })) },
        },
      },
    },
  });
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(IR_VERSION),
      opsetImport: [{ domain: '', version: BigInt(OPSET) }],
      graph: {
        name: 'product',
        node: [
          {
            opType: 'Gemm',
            input: ['a', 'b'],
            output: ['y'],
            attribute: [{ name: 'transB', type: AttributeType.INT, i: 1n }],
          },
        ],
        input: [port('a', ['rows', 'inner']), port('b', ['outer', 'inner'])],
        output: [port('y', ['rows', 'outer'])],
      },
    }),
  );
}
