import { ints } from '../attr.ts';
import { sameDim, type Dim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount, type Tensor } from '../tensor.ts';
import { printType, tensorType } from '../type.ts';

export const conv2d = primitive({
  name: 'conv2d',
  doc: 'Convolution: x[B, C, H, W], weight[O, C, kh, kw], bias[O]; strides [sh, sw]; padding [ph, pw]: so many zeros on either side.',
  operands: ['x', 'weight', 'bias'],
  attrs: { strides: ints(), padding: ints() },
  traits: [],
  castPolicy: 'compute',
  infer(inputs, { strides, padding }) {
    const [x, weight, bias] = inputs;
    const [batch, channels, ...size] = x!.shape;
    const [out, inChannels, ...kernel] = weight!.shape;
    const fits =
      inputs.every((t) => t.dtype === x!.dtype) &&
      isFloat(x!.dtype) &&
      size.length === 2 &&
      kernel.length === 2 &&
      strides.length === 2 &&
      padding.length === 2;
    expectType(
      fits && sameDim(channels!, inChannels!) && bias!.shape.length === 1 && sameDim(bias!.shape[0]!, out!),
      `conv2d of ${inputs.map(printType).join(', ')}`,
    );
    expectType(
      strides.every((stride) => stride > 0),
      `conv2d of ${inputs.map(printType).join(', ')}: strides [${strides.join(', ')}]`,
    );
    expectType(
      padding.every((zeros) => zeros >= 0),
      `conv2d of ${inputs.map(printType).join(', ')}: padding [${padding.join(', ')}]`,
    );
    const spatial = size.map((s, i): Dim => {
      const k = kernel[i]!;
      expectType(
        typeof s === 'number' && typeof k === 'number' && k <= s + 2 * padding[i]!,
        `conv2d of ${inputs.map(printType).join(', ')}: sizes must be known`,
      );
      return Math.floor((s + 2 * padding[i]! - k) / strides[i]!) + 1;
    });
    return [tensorType(x!.dtype, [batch!, out!, ...spatial])];
  },
  evaluate([x, weight, bias], attrs) {
    const { batch, rows, columns } = convolutionSizes(x!.shape, weight!.shape, attrs);
    const out = weight!.shape[0]!;
    const patch = elementCount(weight!.shape.slice(1));
    const places = rows * columns;
    const patches = patchesOf(x!, weight!.shape, attrs);
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

/** [down, right] */
interface Convolution {
  readonly strides: readonly number[];
  readonly padding: readonly number[];
}

/** Places of a kernel [O, C, kh, kw] in pictures [B, C, H, W] with zeros around them. */
export function convolutionSizes(
  picture: readonly number[],
  kernel: readonly number[],
  { strides, padding }: Convolution,
): { readonly batch: number; readonly rows: number; readonly columns: number } {
  const [batch, , height, width] = picture as readonly [number, number, number, number];
  const [, , kh, kw] = kernel as readonly [number, number, number, number];
  const along = (size: number, k: number, i: 0 | 1) => Math.floor((size + 2 * padding[i]! - k) / strides[i]!) + 1;
  return { batch, rows: along(height, kh, 0), columns: along(width, kw, 1) };
}

/** What a kernel [O, C, kh, kw] sees at each place, as rows [B · rows · columns, C · kh · kw]. */
export function patchesOf(x: Tensor, kernel: readonly number[], convolution: Convolution): Float32Array {
  const { strides, padding } = convolution;
  const [, channels, height, width] = x.shape as readonly [number, number, number, number];
  const [, , kh, kw] = kernel as readonly [number, number, number, number];
  const { batch, rows, columns } = convolutionSizes(x.shape, kernel, convolution);
  const patches = new Float32Array(batch * rows * columns * channels * kh * kw);
  let at = 0;
  for (let b = 0; b < batch; b++)
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++)
        for (let ch = 0; ch < channels; ch++)
          for (let y = 0; y < kh; y++) {
            const row = r * strides[0]! - padding[0]! + y;
            const from = ((b * channels + ch) * height + row) * width;
            for (let z = 0; z < kw; z++, at++) {
              const column = c * strides[1]! - padding[1]! + z;
              if (row >= 0 && row < height && column >= 0 && column < width) patches[at] = x.data[from + column]!;
            }
          }
  return patches;
}
