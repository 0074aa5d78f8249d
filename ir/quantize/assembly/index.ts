import { all, loadTurned } from './lanes';
import { block, setForm } from './form';
import { encode } from './codes';
import { faults, roundToNearest, rtnScale, rtnZero } from './rtn';
import { scale, searchFine, searchInteger, zero } from './search';
import { searchFloat } from './search_float';

export { halfFromSingle, bfloatFromSingle, halfFromBfloat } from './casts';

// The algorithms, as in ../kernels/simd.js.
const RTN: i32 = 0;
const SEARCH: i32 = 1;
const GIVEN: i32 = 2;

let ratios: usize = 0;
let ratioCount: i32 = 0;
let shifts: usize = 0;
let shiftCount: i32 = 0;
let near: usize = 0;
let nearCount: i32 = 0;
let refits: i32 = 0;

/** Where the candidates of the search lie. */
export function setCandidates(
  ratios_: usize,
  ratioCount_: i32,
  shifts_: usize,
  shiftCount_: i32,
  near_: usize,
  nearCount_: i32,
  refits_: i32,
): void {
  ratios = ratios_;
  ratioCount = ratioCount_;
  shifts = shifts_;
  shiftCount = shiftCount_;
  near = near_;
  nearCount = nearCount_;
  refits = refits_;
}

/**
 * Quantizes `count` blocks of `size` weights (a multiple of 8), which lie packed at `input`. `importance` holds a row
 * of `perRow` blocks of binary32, or is 0 for equal importance. `room` has space for three groups (48 · size bytes).
 * Scales and zero points are binary32 and are read instead of written when the algorithm is GIVEN. Returns the number
 * of the first block whose scale is not below `limit`, or −1.
 */
export function quantize(
  input: usize,
  dtype: i32,
  count: i32,
  size: i32,
  bits: i32,
  symmetric: bool,
  floatZero: bool,
  algorithm: i32,
  limit: f32,
  importance: usize,
  perRow: i32,
  room: usize,
  q: usize,
  scales: usize,
  zeros: usize,
): i32 {
  setForm(size, bits, symmetric, floatZero);
  const blockBytes = (<usize>size) << (dtype == 0 ? 2 : 1);
  const codeBytes = <usize>((size * bits) >> 3);
  const w = room;
  const h = room + ((<usize>size) << 4);
  const x = h + ((<usize>size) << 4);
  if (importance == 0) for (let i: usize = 0; i < (<usize>size) << 4; i += 16) v128.store(h + i, all(1));
  for (let first = 0; first < count; first += 4) {
    // lanes behind the last block repeat it: the same bytes go to the same place
    const b1 = min(first + 1, count - 1);
    const b2 = min(first + 2, count - 1);
    const b3 = min(first + 3, count - 1);
    turn(
      dtype,
      input + <usize>first * blockBytes,
      input + <usize>b1 * blockBytes,
      input + <usize>b2 * blockBytes,
      input + <usize>b3 * blockBytes,
      w,
    );
    if (algorithm == GIVEN) {
      const s = f32x4(
        load<f32>(scales + ((<usize>first) << 2)),
        load<f32>(scales + ((<usize>b1) << 2)),
        load<f32>(scales + ((<usize>b2) << 2)),
        load<f32>(scales + ((<usize>b3) << 2)),
      );
      const z = f32x4(
        load<f32>(zeros + ((<usize>first) << 2)),
        load<f32>(zeros + ((<usize>b1) << 2)),
        load<f32>(zeros + ((<usize>b2) << 2)),
        load<f32>(zeros + ((<usize>b3) << 2)),
      );
      encode(
        w,
        s,
        z,
        q + <usize>first * codeBytes,
        q + <usize>b1 * codeBytes,
        q + <usize>b2 * codeBytes,
        q + <usize>b3 * codeBytes,
      );
      continue;
    }
    let s = all(0);
    let z = all(0);
    if (algorithm == RTN) {
      roundToNearest(w);
      s = rtnScale;
      z = rtnZero;
    } else {
      if (importance != 0) {
        const rowBytes = (<usize>size) << 2;
        turn(
          0,
          importance + <usize>(first % perRow) * rowBytes,
          importance + <usize>(b1 % perRow) * rowBytes,
          importance + <usize>(b2 % perRow) * rowBytes,
          importance + <usize>(b3 % perRow) * rowBytes,
          h,
        );
      }
      search(w, h, x, bits, floatZero, importance != 0);
      s = scale;
      z = zero;
    }
    const fault = faults(limit);
    if (fault != 0) return min(first + ctz(fault), count - 1);
    store<f32>(scales + ((<usize>first) << 2), f32x4.extract_lane(s, 0));
    store<f32>(scales + ((<usize>b1) << 2), f32x4.extract_lane(s, 1));
    store<f32>(scales + ((<usize>b2) << 2), f32x4.extract_lane(s, 2));
    store<f32>(scales + ((<usize>b3) << 2), f32x4.extract_lane(s, 3));
    store<f32>(zeros + ((<usize>first) << 2), f32x4.extract_lane(z, 0));
    store<f32>(zeros + ((<usize>b1) << 2), f32x4.extract_lane(z, 1));
    store<f32>(zeros + ((<usize>b2) << 2), f32x4.extract_lane(z, 2));
    store<f32>(zeros + ((<usize>b3) << 2), f32x4.extract_lane(z, 3));
    encode(
      w,
      s,
      z,
      q + <usize>first * codeBytes,
      q + <usize>b1 * codeBytes,
      q + <usize>b2 * codeBytes,
      q + <usize>b3 * codeBytes,
    );
  }
  return -1;
}

function search(w: usize, h: usize, x: usize, bits: i32, floatZero: bool, weighted: bool): void {
  if (bits == 8) return searchFine(w, h, ratios, ratioCount);
  if (floatZero) return searchFloat(w, h, x, ratios, ratioCount, shifts, shiftCount, refits);
  // with h = 1 everywhere, h · w is w
  if (weighted)
    for (let i: usize = 0; i < (<usize>block) << 4; i += 16)
      v128.store(x + i, f32x4.mul(v128.load(h + i), v128.load(w + i)));
  searchInteger(w, h, weighted ? x : w, ratios, ratioCount, near, nearCount);
}

/** Four packed blocks into lanes. */
function turn(dtype: i32, p0: usize, p1: usize, p2: usize, p3: usize, to: usize): void {
  const bytes: usize = dtype == 0 ? 16 : 8;
  for (let i = 0; i < block; i += 4) {
    loadTurned(dtype, p0, p1, p2, p3, to);
    p0 += bytes;
    p1 += bytes;
    p2 += bytes;
    p3 += bytes;
    to += 64;
  }
}
