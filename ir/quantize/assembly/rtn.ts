import { all, choose, clamp, roundScale, roundToHalf } from './lanes';
import { block, floatZero, levels, middle, symmetric } from './form';

/** What the blocks span, and round to nearest's choice: see ../kernels/rtn.js. */
export let spanLow: v128 = i32x4.splat(0);
export let spanHigh: v128 = i32x4.splat(0);
export let step: v128 = i32x4.splat(0);
export let rtnScale: v128 = i32x4.splat(0);
export let rtnZero: v128 = i32x4.splat(0);

export function roundToNearest(w: usize): void {
  let low = floatZero ? v128.load(w) : all(0);
  let high = low;
  const end = w + ((<usize>block) << 4);
  while (w < end) {
    const x = v128.load(w);
    low = f32x4.min(low, x);
    high = f32x4.max(high, x);
    w += 16;
  }
  const most = f32x4.max(high, f32x4.neg(low));
  let size = symmetric ? f32x4.div(most, all(middle - 1)) : f32x4.div(f32x4.sub(high, low), all(levels));
  if (floatZero) size = f32x4.max(size, f32x4.mul(most, all(0.0009765625)));
  spanLow = low;
  spanHigh = high;
  step = size;
  rtnScale = roundScale(size);
  rtnZero = symmetric ? all(middle) : zeroOf(zeroBelow());
}

/** For the first code to mean the least weight, or where the smallest scale reaches further, for one near 0. */
function zeroBelow(): v128 {
  const inverse = f32x4.div(all(1), rtnScale);
  const usual = f32x4.mul(f32x4.neg(spanLow), inverse);
  if (!floatZero) return usual;
  const nearest = clamp(all(0), spanLow, spanHigh);
  const code = f32x4.nearest(f32x4.mul(f32x4.sub(nearest, spanLow), inverse));
  const reaches = v128.and(f32x4.gt(step, all(0)), f32x4.lt(step, all(5.9604644775390625e-8)));
  return choose(reaches, f32x4.sub(code, f32x4.mul(nearest, inverse)), usual);
}

/** Zero points as they are stored. */
export function zeroOf(z: v128): v128 {
  return floatZero ? roundToHalf(z) : codeOf(z);
}

/** The nearest code as a number; +0 where it is 0. */
export function codeOf(z: v128): v128 {
  return f32x4.add(f32x4.nearest(clamp(z, all(0), all(levels))), all(0));
}

/** A bit for each lane whose scale is not below the limit, or not a number. */
export function faults(limit: f32): i32 {
  return i32x4.bitmask(v128.not(f32x4.lt(step, all(limit))));
}
