import { integerCodec } from './integer.ts';

/** 8-bit unsigned. */
export const u8 = integerCodec({
  name: 'u8',
  bits: 8,
  min: 0,
  max: 255,
  allocate: (length) => new Int32Array(length),
  get: (view, at) => view.getUint8(at),
  elements: (bytes) => bytes,
  set: (view, at, value) => view.setUint8(at, value),
});
