import { all, choose, clamp, roundScale } from './lanes';
import { block, levels } from './form';
import { roundToNearest, rtnScale, spanHigh, spanLow, step, zeroOf } from './rtn';
import { keepBetter } from './search';

let fitGain: v128 = i32x4.splat(0);
let fitScale: v128 = i32x4.splat(0);
let fitShift: v128 = i32x4.splat(0);
let sumH: v128 = i32x4.splat(0);
let sumX: v128 = i32x4.splat(0);

/**
 * 4-bit codes with a float zero point: see ../kernels/search_float.js. `x` is room for the blocks less their middles.
 */
export function searchFloat(
  w: usize,
  h: usize,
  x: usize,
  ratios: usize,
  ratioCount: i32,
  shifts: usize,
  shiftCount: i32,
  refits: i32,
): void {
  roundToNearest(w);
  const centre = all(levels / 2);
  const middle = f32x4.mul(f32x4.add(spanLow, spanHigh), all(0.5));
  let h1 = all(0);
  let x1 = all(0);
  for (let i: usize = 0, end = (<usize>block) << 4; i < end; i += 16) {
    const shifted = f32x4.sub(v128.load(w + i), middle);
    const weight = v128.load(h + i);
    v128.store(x + i, shifted);
    h1 = f32x4.add(h1, weight);
    x1 = f32x4.add(x1, f32x4.mul(weight, shifted));
  }
  sumH = h1;
  sumX = x1;
  const inverse = f32x4.div(all(1), f32x4.pmax(step, all(5.9604644775390625e-8)));
  let gain = all(-1);
  let bestScale = rtnScale;
  let bestShift = all(0);
  for (let ratioEnd = ratios + ((<usize>ratioCount) << 2); ratios < ratioEnd; ratios += 4) {
    const scaled = f32x4.mul(inverse, v128.load_splat<f32>(ratios));
    for (let i = shifts, end = shifts + ((<usize>shiftCount) << 2); i < end; i += 4) {
      fitLine(x, h, scaled, v128.load_splat<f32>(i));
      const better = f32x4.gt(fitGain, gain);
      gain = choose(better, fitGain, gain);
      bestScale = choose(better, fitScale, bestScale);
      bestShift = choose(better, fitShift, bestShift);
    }
  }
  for (let c = 0; c < refits; c++) {
    const again = f32x4.div(all(1), bestScale);
    fitLine(x, h, again, f32x4.mul(f32x4.neg(bestShift), again));
    const better = f32x4.gt(fitGain, gain);
    gain = choose(better, fitGain, gain);
    bestScale = choose(better, fitScale, bestScale);
    bestShift = choose(better, fitShift, bestShift);
  }
  const stored = roundScale(bestScale);
  keepBetter(
    w,
    h,
    stored,
    zeroOf(f32x4.sub(centre, f32x4.mul(f32x4.add(bestShift, middle), f32x4.div(all(1), stored)))),
  );
}

function fitLine(x: usize, h: usize, inverse: v128, offset: v128): void {
  const centre = all(levels / 2);
  const most = all(levels);
  const none = all(0);
  const start = f32x4.add(offset, centre);
  let r1 = none;
  let r2 = none;
  let xr = none;
  const end = x + ((<usize>block) << 4);
  while (x < end) {
    const value = v128.load(x);
    const r = f32x4.sub(f32x4.nearest(clamp(f32x4.add(f32x4.mul(value, inverse), start), none, most)), centre);
    const hr = f32x4.mul(v128.load(h), r);
    r1 = f32x4.add(r1, hr);
    r2 = f32x4.add(r2, f32x4.mul(hr, r));
    xr = f32x4.add(xr, f32x4.mul(hr, value));
    x += 16;
    h += 16;
  }
  const spread = f32x4.sub(f32x4.mul(sumH, r2), f32x4.mul(r1, r1));
  const common = f32x4.sub(f32x4.mul(sumH, xr), f32x4.mul(sumX, r1));
  fitScale = f32x4.div(common, spread);
  fitGain = f32x4.mul(common, fitScale);
  fitShift = f32x4.div(f32x4.sub(sumX, f32x4.mul(fitScale, r1)), sumH);
}
