import { integerCodec } from './integer.ts';

/**
 * 64-bit two's complement. Values are exact up to 2^53, which ids, positions and sizes never reach; beyond it they
 * saturate.
 */
export const i64 = integerCodec({
  name: 'i64',
  bits: 64,
  min: Number.MIN_SAFE_INTEGER,
  max: Number.MAX_SAFE_INTEGER,
  allocate: (length) => new Float64Array(length),
  get: (view, at) => Number(view.getBigInt64(at, true)),
  set: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
});
