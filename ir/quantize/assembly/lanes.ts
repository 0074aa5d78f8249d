// AssemblyScript, compiled to WebAssembly by `npm run build`. Each of the four lanes of a vector is a block of its own,
// so sums run in the order of the weights: the plain JavaScript in ../kernels gives the same bits with Math.fround. No
// fused or relaxed operation is used.

/** Four equal values. */
// @ts-ignore: decorator
@inline
export function all(x: f32): v128 {
  return f32x4.splat(x);
}

/** Lanes of `a` where the mask is set, otherwise of `b`. */
// @ts-ignore: decorator
@inline
export function choose(mask: v128, a: v128, b: v128): v128 {
  return v128.bitselect(a, b, mask);
}

// @ts-ignore: decorator
@inline
export function clamp(x: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(x, low), high);
}

/** The nearest binary16 values, ties to even; magnitudes beyond 65504 become 65504. See ../kernels/rounding.js. */
export function roundToHalf(x: v128): v128 {
  const magnitude = f32x4.abs(x);
  const sign = v128.and(x, i32x4.splat(0x80000000));
  const half = all(0.5);
  const subnormal = f32x4.sub(f32x4.add(magnitude, half), half);
  const bits = f32x4.pmin(magnitude, all(65504));
  const odd = v128.and(i32x4.shr_u(bits, 13), i32x4.splat(1));
  const normal = v128.and(i32x4.add(i32x4.add(bits, i32x4.splat(0xfff)), odd), i32x4.splat(~0x1fff));
  return v128.or(choose(f32x4.lt(magnitude, all(6.103515625e-5)), subnormal, normal), sign);
}

/** Scales as they are stored: rounded to binary16 and at least 2^-24. */
// @ts-ignore: decorator
@inline
export function roundScale(x: v128): v128 {
  return f32x4.pmax(roundToHalf(x), all(5.9604644775390625e-8));
}

/**
 * Four weights of each of four blocks, from packed elements of dtype f32 (0), f16 (1) or bf16 (2), turned so that lanes
 * are blocks.
 */
// @ts-ignore: decorator
@inline
export function loadTurned(dtype: i32, p0: usize, p1: usize, p2: usize, p3: usize, to: usize): void {
  const a = widen(dtype, p0);
  const b = widen(dtype, p1);
  const c = widen(dtype, p2);
  const d = widen(dtype, p3);
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(ab0, cd0, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(ab0, cd0, 2, 3, 6, 7), 16);
  v128.store(to, v128.shuffle<f32>(ab1, cd1, 0, 1, 4, 5), 32);
  v128.store(to, v128.shuffle<f32>(ab1, cd1, 2, 3, 6, 7), 48);
}

/** Four elements as binary32, every bit kept. */
// @ts-ignore: decorator
@inline
function widen(dtype: i32, p: usize): v128 {
  if (dtype == 0) return v128.load(p);
  const bits = v128.load_ext<u16>(p);
  if (dtype == 2) return i32x4.shl(bits, 16);
  return widenHalf(bits);
}

/**
 * binary16 patterns in the lower halves, as binary32: the exponent is put right by a product, which also normalises
 * subnormals.
 */
// @ts-ignore: decorator
@inline
export function widenHalf(bits: v128): v128 {
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16);
  const magnitude = i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13);
  const finite = f32x4.mul(magnitude, all(5.192296858534828e33)); // 2^112
  const special = v128.or(magnitude, i32x4.splat(0x7f800000));
  return v128.or(choose(i32x4.ge_s(magnitude, i32x4.splat(0x0f800000)), special, finite), sign);
}
