import { integerCodec } from './integer.ts';

/** One byte an element: 0 or 1; any other value reads and rounds as 1. */
export const bool = integerCodec({
  name: 'bool',
  bits: 8,
  kind: 'bool',
  min: 0,
  max: 1,
  allocate: (length) => new Int32Array(length),
  get: (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
  set: (view, at, value) => view.setUint8(at, value),
  round: (x) => (x === 0 ? 0 : 1),
});
