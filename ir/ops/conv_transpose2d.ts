import { ints } from '../attr.ts';
import { sameDim, type Dim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { printType, tensorType } from '../type.ts';

export const convTranspose2d = primitive({
  name: 'conv_transpose2d',
  doc: 'Transposed convolution, as PyTorch’s ConvTranspose2d: x[B, C, H, W], weight[C, O, kh, kw], bias[O]; strides [sh, sw], padding [ph, pw]. Each x[b, c, r, s] is added, times weight[c], to the window of the result at (r · sh − ph, s · sw − pw): (H − 1) · sh + kh − 2 · ph rows.',
  operands: ['x', 'weight', 'bias'],
  attrs: { strides: ints(), padding: ints() },
  traits: [],
  castPolicy: 'compute',
  infer(inputs, { strides, padding }) {
    const [x, weight, bias] = inputs;
    const [batch, channels, ...size] = x!.shape;
    const [inChannels, out, ...kernel] = weight!.shape;
    const said = `conv_transpose2d of ${inputs.map(printType).join(', ')}`;
    expectType(
      inputs.every((t) => t.dtype === x!.dtype) &&
        isFloat(x!.dtype) &&
        size.length === 2 &&
        kernel.length === 2 &&
        strides.length === 2 &&
        padding.length === 2 &&
        sameDim(channels!, inChannels!) &&
        bias!.shape.length === 1 &&
        sameDim(bias!.shape[0]!, out!),
      said,
    );
    expectType(
      strides.every((stride) => stride > 0),
      `${said}: strides [${strides.join(', ')}]`,
    );
    const spatial = size.map((s, i): Dim => {
      const k = kernel[i]!;
      expectType(typeof s === 'number' && typeof k === 'number' && s > 0, `${said}: sizes must be known`);
      const result = (s - 1) * strides[i]! + k - 2 * padding[i]!;
      expectType(padding[i]! >= 0 && result > 0, `${said}: padding [${padding.join(', ')}]`);
      return result;
    });
    return [tensorType(x!.dtype, [batch!, out!, ...spatial])];
  },
  evaluate([x, weight, bias], { strides, padding }) {
    const [batch, channels, height, width] = x!.shape as readonly [number, number, number, number];
    const [, out, kh, kw] = weight!.shape as readonly [number, number, number, number];
    const [rows, columns] = [
      (height - 1) * strides[0]! + kh - 2 * padding[0]!,
      (width - 1) * strides[1]! + kw - 2 * padding[1]!,
    ];
    const shape = [batch, out, rows, columns];
    const data = new Float64Array(elementCount(shape));
    for (let i = 0; i < data.length; i++) data[i] = bias!.data[Math.floor(i / (rows * columns)) % out]!;
    for (let b = 0; b < batch; b++)
      for (let c = 0; c < channels; c++)
        for (let r = 0; r < height; r++)
          for (let s = 0; s < width; s++) {
            const value = x!.data[((b * channels + c) * height + r) * width + s]!;
            for (let o = 0; o < out; o++)
              for (let y = 0; y < kh; y++) {
                const row = r * strides[0]! - padding[0]! + y;
                if (row < 0 || row >= rows) continue;
                for (let z = 0; z < kw; z++) {
                  const column = s * strides[1]! - padding[1]! + z;
                  if (column >= 0 && column < columns)
                    data[((b * out + o) * rows + row) * columns + column]! +=
                      value * weight!.data[((c * out + o) * kh + y) * kw + z]!;
                }
              }
          }
    return [{ shape, data }];
  },
});
