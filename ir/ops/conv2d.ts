import { ints } from '../attr.ts';
import { sameDim, type Dim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount, type Tensor } from '../tensor.ts';
import { printType, tensorType } from '../type.ts';

export const conv2d = primitive({
  name: 'conv2d',
  doc: 'Convolution without padding: x[B, C, H, W], weight[O, C, kh, kw], bias[O]; strides [sh, sw].',
  operands: ['x', 'weight', 'bias'],
  attrs: { strides: ints() },
  traits: [],
  castPolicy: 'compute',
  infer(inputs, { strides }) {
    const [x, weight, bias] = inputs;
    const [batch, channels, ...size] = x!.shape;
    const [out, inChannels, ...kernel] = weight!.shape;
    const fits =
      inputs.every((t) => t.dtype === x!.dtype) &&
      isFloat(x!.dtype) &&
      size.length === 2 &&
      kernel.length === 2 &&
      strides.length === 2;
    expectType(
      fits && sameDim(channels!, inChannels!) && bias!.shape.length === 1 && sameDim(bias!.shape[0]!, out!),
      `conv2d of ${inputs.map(printType).join(', ')}`,
    );
    expectType(
      strides.every((stride) => stride > 0),
      `conv2d of ${inputs.map(printType).join(', ')}: strides [${strides.join(', ')}]`,
    );
    const spatial = size.map((s, i): Dim => {
      const k = kernel[i]!;
      expectType(
        typeof s === 'number' && typeof k === 'number' && k <= s,
        `conv2d of ${inputs.map(printType).join(', ')}: sizes must be known`,
      );
      return Math.floor((s - k) / strides[i]!) + 1;
    });
    return [tensorType(x!.dtype, [batch!, out!, ...spatial])];
  },
  evaluate([x, weight, bias], { strides }) {
    const { batch, rows, columns } = convolutionSizes(x!.shape, weight!.shape, strides);
    const out = weight!.shape[0]!;
    const patch = elementCount(weight!.shape.slice(1));
    const places = rows * columns;
    const patches = patchesOf(x!, weight!.shape, strides);
    const shape = [batch, out, rows, columns];
    const data = new Float64Array(elementCount(shape));
    for (let b = 0; b < batch; b++)
      for (let p = 0; p < places; p++) {
        const at = (b * places + p) * patch;
        for (let o = 0; o < out; o++) {
          let sum = bias!.data[o]!;
          for (let i = 0; i < patch; i++) sum += patches[at + i]! * weight!.data[o * patch + i]!;
          data[(b * out + o) * places + p] = sum;
        }
      }
    return [{ shape, data }];
  },
});

/** Places of a kernel [O, C, kh, kw] in pictures [B, C, H, W], without padding. */
export function convolutionSizes(
  picture: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
): { readonly batch: number; readonly rows: number; readonly columns: number } {
  const [batch, , height, width] = picture as readonly [number, number, number, number];
  const [, , kh, kw] = kernel as readonly [number, number, number, number];
  const [sh, sw] = strides as readonly [number, number];
  return { batch, rows: Math.floor((height - kh) / sh) + 1, columns: Math.floor((width - kw) / sw) + 1 };
}

/** What a kernel [O, C, kh, kw] sees at each place, as rows [B · rows · columns, C · kh · kw]. */
export function patchesOf(x: Tensor, kernel: readonly number[], strides: readonly number[]): Float32Array {
  const [, channels, height, width] = x.shape as readonly [number, number, number, number];
  const [, , kh, kw] = kernel as readonly [number, number, number, number];
  const [sh, sw] = strides as readonly [number, number];
  const { batch, rows, columns } = convolutionSizes(x.shape, kernel, strides);
  const patches = new Float32Array(batch * rows * columns * channels * kh * kw);
  let at = 0;
  for (let b = 0; b < batch; b++)
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++)
        for (let ch = 0; ch < channels; ch++)
          for (let y = 0; y < kh; y++) {
            const from = ((b * channels + ch) * height + r * sh + y) * width + c * sw;
            for (let z = 0; z < kw; z++) patches[at++] = x.data[from + z]!;
          }
  return patches;
}
