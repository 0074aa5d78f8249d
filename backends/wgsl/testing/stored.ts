import { evaluateDim, type Dim } from '../../../ir/dim.ts';
import { elementCount, type Tensor } from '../../../ir/tensor.ts';
import { storedShape } from '../kernels/wgsl_text.ts';

type Sizes = Readonly<Record<string, number>>;

/** What lies between the rows of an axis that grows: no kernel may take it for a value. */
const GAP = 12345;

function sizesOf(shape: readonly Dim[], sizes: Sizes): { packed: number[]; stored: number[] } {
  const bindings = new Map(Object.entries(sizes));
  return {
    packed: shape.map((dim) => evaluateDim(dim, bindings)),
    stored: storedShape(shape).map((dim) => evaluateDim(dim, bindings)),
  };
}

/** For each element in C order, where it lies. */
function* offsets(packed: readonly number[], stored: readonly number[]): Iterable<number> {
  for (let i = 0; i < elementCount(packed); i++) {
    let rest = i;
    let offset = 0;
    for (let axis = packed.length - 1, stride = 1; axis >= 0; stride *= stored[axis]!, axis--) {
      offset += (rest % packed[axis]!) * stride;
      rest = Math.floor(rest / packed[axis]!);
    }
    yield offset;
  }
}

/** Memory of a tensor on the device: f32, or 32-bit integers for what is not a float; what grows lies at `capacity`. */
export function toStored({ dtype, data }: Tensor, shape: readonly Dim[], sizes: Sizes): Float32Array | Int32Array {
  const { packed, stored } = sizesOf(shape, sizes);
  const memory = dtype === 'f32' ? new Float32Array(elementCount(stored)) : new Int32Array(elementCount(stored));
  memory.fill(GAP);
  let i = 0;
  for (const offset of offsets(packed, stored)) memory[offset] = data[i++]!;
  return memory;
}

/** Room for a result, filled with what none has. */
export function room(shape: readonly Dim[], sizes: Sizes): Float32Array {
  return new Float32Array(elementCount(sizesOf(shape, sizes).stored)).fill(GAP);
}

/** Elements in C order. */
export function fromStored(memory: ArrayBuffer, type: 'f32' | 'i32', shape: readonly Dim[], sizes: Sizes): number[] {
  const { packed, stored } = sizesOf(shape, sizes);
  const elements = type === 'f32' ? new Float32Array(memory) : new Int32Array(memory);
  return [...offsets(packed, stored)].map((offset) => elements[offset]!);
}

/** How far results are from what is expected, relative to 1 or to its size: the largest. */
export function worst(actual: readonly number[], expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  return actual.reduce((max, x, i) => {
    const error = Math.abs(x - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    return Number.isNaN(error) ? Infinity : Math.max(max, error);
  }, 0);
}
