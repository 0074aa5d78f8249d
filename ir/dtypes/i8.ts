import { integerCodec } from './integer.ts';

/** 8-bit two's complement. */
export const i8 = integerCodec({
  name: 'i8',
  bits: 8,
  min: -128,
  max: 127,
  allocate: (length) => new Int32Array(length),
  get: (view, at) => view.getInt8(at),
  elements: ({ buffer, byteOffset, byteLength }) => new Int8Array(buffer, byteOffset, byteLength),
  set: (view, at, value) => view.setInt8(at, value),
});
