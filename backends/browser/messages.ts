import type { NumberArray } from '../../ir/dtypes/codec.ts';
import type { DType } from '../../ir/dtypes/index.ts';
import type { Tensor } from '../../ir/tensor.ts';

/** What Node and a page say to each other: something that JSON has, and tensors. */
export interface Message {
  readonly body: unknown;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

interface Header {
  readonly body: unknown;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: DType;
    readonly shape: readonly number[];
    readonly array: keyof typeof ARRAYS;
    readonly length: number;
  }[];
}

/** Arrays that hold elements, whatever their dtype: NumberArray has no others. */
const ARRAYS = { Float32Array, Float64Array, Int32Array } as const;
/** Of elements in the bytes: that of the widest. */
const ALIGNMENT = 8;

const padded = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/** The length of a header in JSON, the header, then the elements of each tensor as they lie in memory. */
export function encodeMessage({ body, tensors }: Message): Uint8Array<ArrayBuffer> {
  const list = Object.entries(tensors);
  const header: Header = {
    body: body ?? null,
    tensors: list.map(([name, { dtype, shape, data }]) => ({
      name,
      dtype,
      shape,
      array: arrayOf(data),
      length: data.length,
    })),
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = padded(4 + text.length);
  const bytes = new Uint8Array(list.reduce((sum, [, { data }]) => sum + padded(data.byteLength), start));
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 4);
  let at = start;
  for (const [, { data }] of list) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += padded(data.byteLength);
  }
  return bytes;
}

/** @param bytes at the start of their buffer: tensors are views of it */
export function decodeMessage(bytes: ArrayBuffer): Message {
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length))) as Header;
  let at = padded(4 + length);
  const tensors: Record<string, Tensor> = {};
  for (const { name, dtype, shape, array, length: count } of header.tensors) {
    const data = new ARRAYS[array](bytes, at, count);
    tensors[name] = { dtype, shape, data };
    at += padded(data.byteLength);
  }
  return { body: header.body, tensors };
}

function arrayOf(data: NumberArray): keyof typeof ARRAYS {
  if (data instanceof Float32Array) return 'Float32Array';
  return data instanceof Float64Array ? 'Float64Array' : 'Int32Array';
}
