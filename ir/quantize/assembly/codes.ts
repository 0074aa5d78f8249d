import { all, clamp } from './lanes';
import { bits, block, levels, low } from './form';

/** Codes of four blocks, packed, each block to its own place: see ../kernels/codes.js. The block is a multiple of 8. */
export function encode(w: usize, scale: v128, zero: v128, q0: usize, q1: usize, q2: usize, q3: usize): void {
  const inverse = f32x4.div(all(1), scale);
  const least = all(low);
  const most = all(levels);
  const end = w + (<usize>block << 4);
  if (bits == 8) {
    while (w < end) {
      const even = v128.or(code(w, inverse, zero, least, most), i32x4.shl(code(w + 16, inverse, zero, least, most), 8));
      const odd = v128.or(code(w + 32, inverse, zero, least, most), i32x4.shl(code(w + 48, inverse, zero, least, most), 8));
      const word = v128.or(even, i32x4.shl(odd, 16));
      store<i32>(q0, i32x4.extract_lane(word, 0));
      store<i32>(q1, i32x4.extract_lane(word, 1));
      store<i32>(q2, i32x4.extract_lane(word, 2));
      store<i32>(q3, i32x4.extract_lane(word, 3));
      q0 += 4;
      q1 += 4;
      q2 += 4;
      q3 += 4;
      w += 64;
    }
    return;
  }
  while (w < end) {
    let word = code(w, inverse, zero, least, most);
    word = v128.or(word, i32x4.shl(code(w + 16, inverse, zero, least, most), 4));
    word = v128.or(word, i32x4.shl(code(w + 32, inverse, zero, least, most), 8));
    word = v128.or(word, i32x4.shl(code(w + 48, inverse, zero, least, most), 12));
    word = v128.or(word, i32x4.shl(code(w + 64, inverse, zero, least, most), 16));
    word = v128.or(word, i32x4.shl(code(w + 80, inverse, zero, least, most), 20));
    word = v128.or(word, i32x4.shl(code(w + 96, inverse, zero, least, most), 24));
    word = v128.or(word, i32x4.shl(code(w + 112, inverse, zero, least, most), 28));
    store<i32>(q0, i32x4.extract_lane(word, 0));
    store<i32>(q1, i32x4.extract_lane(word, 1));
    store<i32>(q2, i32x4.extract_lane(word, 2));
    store<i32>(q3, i32x4.extract_lane(word, 3));
    q0 += 4;
    q1 += 4;
    q2 += 4;
    q3 += 4;
    w += 128;
  }
}

// @ts-ignore: decorator
@inline
function code(w: usize, inverse: v128, zero: v128, least: v128, most: v128): v128 {
  const t = f32x4.add(f32x4.mul(v128.load(w), inverse), zero);
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(clamp(t, least, most)));
}

/** Σ h (w − (code − z) s)², in order. */
export function errorOf(w: usize, h: usize, scale: v128, zero: v128): v128 {
  const inverse = f32x4.div(all(1), scale);
  const least = all(low);
  const most = all(levels);
  const end = w + (<usize>block << 4);
  let sum = all(0);
  while (w < end) {
    const x = v128.load(w);
    const t = f32x4.add(f32x4.mul(x, inverse), zero);
    const code = f32x4.nearest(clamp(t, least, most));
    const e = f32x4.sub(x, f32x4.mul(f32x4.sub(code, zero), scale));
    sum = f32x4.add(sum, f32x4.mul(f32x4.mul(v128.load(h), e), e));
    w += 16;
    h += 16;
  }
  return sum;
}
