import { ints } from '../attr.ts';
import { sameDim, type Dim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
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
    const [batch, channels, height, width] = x!.shape as [number, number, number, number];
    const [out, , kh, kw] = weight!.shape as [number, number, number, number];
    const [sh, sw] = strides as [number, number];
    const [rows, columns] = [Math.floor((height - kh) / sh) + 1, Math.floor((width - kw) / sw) + 1];
    const shape = [batch, out, rows, columns];
    const data = new Float64Array(elementCount(shape));
    const patch = channels * kh * kw;
    const window = new Float64Array(patch);
    for (let b = 0; b < batch; b++)
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) {
          let at = 0;
          for (let ch = 0; ch < channels; ch++)
            for (let y = 0; y < kh; y++)
              for (let z = 0; z < kw; z++)
                window[at++] = x!.data[((b * channels + ch) * height + r * sh + y) * width + c * sw + z]!;
          for (let o = 0; o < out; o++) {
            let sum = bias!.data[o]!;
            for (let i = 0; i < patch; i++) sum += window[i]! * weight!.data[o * patch + i]!;
            data[((b * out + o) * rows + r) * columns + c] = sum;
          }
        }
    return [{ shape, data }];
  },
});
