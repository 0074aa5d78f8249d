// What the codes of this run are (see ../kernels/form.js), set once before its blocks.

export let block: i32 = 0;
export let bits: i32 = 0;
export let symmetric: bool = false;
export let floatZero: bool = false;
export let low: f32 = 0;
export let levels: f32 = 0;
export let middle: f32 = 0;

export function setForm(block_: i32, bits_: i32, symmetric_: bool, floatZero_: bool): void {
  block = block_;
  bits = bits_;
  symmetric = symmetric_;
  floatZero = floatZero_;
  low = symmetric_ && bits_ == 8 ? 1 : 0;
  levels = <f32>((1 << bits_) - 1);
  middle = <f32>(1 << (bits_ - 1));
}
