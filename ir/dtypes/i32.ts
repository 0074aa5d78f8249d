import { integerCodec } from './integer.ts';

/** 32-bit two's complement. */
export const i32 = integerCodec({
  name: 'i32',
  bits: 32,
  min: -(2 ** 31),
  max: 2 ** 31 - 1,
  allocate: (length) => new Int32Array(length),
  get: (view, at) => view.getInt32(at, true),
  set: (view, at, value) => view.setInt32(at, value, true),
});
