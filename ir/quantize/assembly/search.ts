import { all, choose, clamp, roundScale } from './lanes';
import { block, levels, middle, symmetric } from './form';
import { errorOf } from './codes';
import { codeOf, roundToNearest, rtnScale, rtnZero, spanHigh, spanLow, step } from './rtn';

/** What was chosen. */
export let scale: v128 = i32x4.splat(0);
export let zero: v128 = i32x4.splat(0);

let fitGain: v128 = i32x4.splat(0);
let fitScale: v128 = i32x4.splat(0);

/** 4-bit codes with an integer zero point: see ../kernels/search.js. */
export function searchInteger(
  w: usize,
  h: usize,
  hw: usize,
  ratios: usize,
  ratioCount: i32,
  near: usize,
  nearCount: i32,
): void {
  roundToNearest(w);
  const half = all(levels / 2);
  const none = all(0);
  const most = all(levels);
  const up = f32x4.gt(spanHigh, f32x4.neg(spanLow));
  const sign = symmetric ? choose(up, all(-1), all(1)) : all(1);
  const inverse = f32x4.div(sign, f32x4.pmax(step, all(5.9604644775390625e-8)));
  const offset = f32x4.sub(f32x4.mul(f32x4.neg(spanLow), inverse), half);
  let gain = none;
  let bestScale = rtnScale;
  let bestZero = rtnZero;
  for (let end = ratios + ((<usize>ratioCount) << 2); ratios < end; ratios += 4) {
    const ratio = v128.load_splat<f32>(ratios);
    const z = symmetric ? all(middle) : codeOf(f32x4.add(f32x4.mul(offset, ratio), half));
    fit(w, h, hw, f32x4.mul(inverse, ratio), z);
    const better = f32x4.gt(fitGain, gain);
    gain = choose(better, fitGain, gain);
    bestScale = choose(better, fitScale, bestScale);
    bestZero = choose(better, z, bestZero);
  }
  const around = f32x4.div(all(1), bestScale);
  const centreZero = bestZero;
  for (let end = near + ((<usize>nearCount) << 2); near < end; near += 8) {
    const z = symmetric ? all(middle) : clamp(f32x4.add(centreZero, v128.load_splat<f32>(near, 4)), none, most);
    fit(w, h, hw, f32x4.mul(around, v128.load_splat<f32>(near)), z);
    const better = f32x4.gt(fitGain, gain);
    gain = choose(better, fitGain, gain);
    bestScale = choose(better, fitScale, bestScale);
    bestZero = choose(better, z, bestZero);
  }
  const signBit = v128.and(bestScale, i32x4.splat(0x80000000));
  keepBetter(w, h, v128.or(roundScale(f32x4.abs(bestScale)), signBit), bestZero);
}

/** These, unless round to nearest's leave no more. */
export function keepBetter(w: usize, h: usize, stored: v128, storedZero: v128): void {
  const better = f32x4.lt(errorOf(w, h, stored, storedZero), errorOf(w, h, rtnScale, rtnZero));
  scale = choose(better, stored, rtnScale);
  zero = choose(better, storedZero, rtnZero);
}

function fit(w: usize, h: usize, hw: usize, inverse: v128, z: v128): void {
  const low = f32x4.neg(z);
  const high = f32x4.sub(all(levels), z);
  let wr = all(0);
  let rr = all(0);
  const end = w + ((<usize>block) << 4);
  while (w < end) {
    const r = f32x4.nearest(clamp(f32x4.mul(v128.load(w), inverse), low, high));
    wr = f32x4.add(wr, f32x4.mul(v128.load(hw), r));
    rr = f32x4.add(rr, f32x4.mul(f32x4.mul(v128.load(h), r), r));
    w += 16;
    h += 16;
    hw += 16;
  }
  fitScale = f32x4.div(wr, rr);
  fitGain = f32x4.mul(wr, fitScale);
}

/** 8-bit codes: see ../kernels/search.js. */
export function searchFine(w: usize, h: usize, ratios: usize, ratioCount: i32): void {
  roundToNearest(w);
  let bestScale = rtnScale;
  let bestZero = rtnZero;
  let least = errorOf(w, h, bestScale, bestZero);
  for (let end = ratios + ((<usize>ratioCount) << 2); ratios < end; ratios += 4) {
    const s = roundScale(f32x4.div(step, v128.load_splat<f32>(ratios)));
    const z = symmetric ? all(middle) : codeOf(f32x4.mul(f32x4.neg(spanLow), f32x4.div(all(1), s)));
    const error = errorOf(w, h, s, z);
    const better = f32x4.lt(error, least);
    least = choose(better, error, least);
    bestScale = choose(better, s, bestScale);
    bestZero = choose(better, z, bestZero);
  }
  scale = bestScale;
  zero = bestZero;
}
