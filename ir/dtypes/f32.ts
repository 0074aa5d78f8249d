import { viewOf, type Codec } from './codec.ts';

/** IEEE 754 binary32. */
export const f32: Codec<'f32'> = {
  name: 'f32',
  bits: 32,
  kind: 'float',
  max: 3.4028234663852886e38,
  allocate: (length) => new Float32Array(length),
  round: Math.fround,
  decode(bytes, count, out, outOffset) {
    const view = viewOf(bytes);
    for (let i = 0; i < count; i++) out[outOffset + i] = view.getFloat32(4 * i, true);
  },
  encode(values, offset, count, bytes) {
    const view = viewOf(bytes);
    for (let i = 0; i < count; i++) view.setFloat32(4 * i, values[offset + i]!, true);
  },
};
