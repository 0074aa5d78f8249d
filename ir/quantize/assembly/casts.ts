import { all, choose } from './lanes';

// Casts between binary32, binary16 and bfloat16, to the bit what ../../dtypes does: ties to even, NaN stays NaN with
// its top payload bits. In place where the target is not wider. Counts are multiples of 8.

/** binary32 to binary16. */
export function halfFromSingle(from: usize, to: usize, count: i32): void {
  for (const end = to + (<usize>count << 1); to < end; to += 16, from += 32) v128.store(to, i16x8.narrow_i32x4_u(half(v128.load(from)), half(v128.load(from, 16))));
}

/** binary32 to bfloat16. */
export function bfloatFromSingle(from: usize, to: usize, count: i32): void {
  for (const end = to + (<usize>count << 1); to < end; to += 16, from += 32) v128.store(to, i16x8.narrow_i32x4_u(bfloat(v128.load(from)), bfloat(v128.load(from, 16))));
}

/** bfloat16 to binary16. */
export function halfFromBfloat(from: usize, to: usize, count: i32): void {
  for (const end = to + (<usize>count << 1); to < end; to += 16, from += 16)
    v128.store(to, i16x8.narrow_i32x4_u(half(i32x4.shl(v128.load_ext<u16>(from), 16)), half(i32x4.shl(v128.load_ext<u16>(from, 8), 16))));
}

/** Patterns of binary16 in the lower halves. */
// @ts-ignore: decorator
@inline
function half(x: v128): v128 {
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  const magnitude = v128.and(x, i32x4.splat(0x7fffffff));
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.sub(magnitude, i32x4.splat(0x38000000 - 0xfff)), odd), 13);
  // in [0.5, 1) binary32 has the spacing of binary16's subnormals, and its lowest bits become the pattern
  const subnormal = i32x4.sub(f32x4.add(magnitude, all(0.5)), i32x4.splat(0x3f000000));
  const finite = choose(i32x4.lt_s(magnitude, i32x4.splat(0x38800000)), subnormal, normal);
  const payload = v128.or(i32x4.splat(0x200), v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(0x3ff)));
  const special = v128.or(i32x4.splat(0x7c00), v128.and(payload, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000))));
  return v128.or(choose(i32x4.ge_s(magnitude, i32x4.splat(0x477ff000)), special, finite), sign);
}

/** Patterns of bfloat16 in the lower halves. */
// @ts-ignore: decorator
@inline
function bfloat(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, i32x4.splat(0x7fff)), odd), 16);
  const nan = v128.or(i32x4.shr_u(x, 16), i32x4.splat(0x40));
  return choose(i32x4.gt_s(v128.and(x, i32x4.splat(0x7fffffff)), i32x4.splat(0x7f800000)), nan, rounded);
}
