import type { Dim } from '../../../ir/dim.ts';
import { coordinateTexts, ELEMENTS, perElement } from './indexing.ts';
import { ONE, type Kernel } from './kernel.ts';
import { formName, matrixBinding, type MatrixForm } from './matrix_form.ts';
import { fourFunction } from './matrix_text.ts';
import { productText } from './wgsl_text.ts';

export interface Conv2dSpec {
  readonly batch: Dim;
  readonly channels: number;
  /** Of the image: height, width. */
  readonly size: readonly [number, number];
  readonly window: readonly [number, number];
  readonly strides: readonly [number, number];
  /** Rows of zeros above and below, columns of them on either side. */
  readonly padding: readonly [number, number];
}

/**
 * Bindings x[batch, channels, height, width], w ([outputs, channels · kh · kw] in a form), bias (f32), out[batch,
 * outputs, rows, columns].
 */
export function conv2dKernel(spec: Conv2dSpec, form: MatrixForm, outputs: number): Kernel {
  const [rows, columns] = positions(spec);
  const elements = spec.channels * spec.window[0] * spec.window[1];
  const shape = [spec.batch, outputs, rows, columns];
  const statements = [
    ...coordinateTexts('index', shape).map((text, axis) => `let ${['b', 'output', 'row', 'column'][axis]} = ${text};`),
    'var sum = bias[output];',
    `for (var element = 0u; element < ${elements}u; element++) {`,
    ...pixelText(spec)
      .split('\n')
      .map((line) => `  ${line}`),
    '  sum += pixel * w_four(output, element & ~3u)[element & 3u];',
    '}',
    'out[index] = sum;',
  ];
  return {
    name: `conv2d_${formName(form)}`,
    doc: `Convolution of x[batch, ${spec.channels}, ${spec.size.join(', ')}] to ${outputs} channels with windows of ${spec.window.join(' × ')} and strides ${spec.strides.join(', ')}: an invocation an element.`,
    bindings: [
      { name: 'x', type: 'array<f32>', access: 'read' },
      matrixBinding('w'),
      { name: 'bias', type: 'array<f32>', access: 'read' },
      { name: 'out', type: 'array<f32>', access: 'read_write' },
    ],
    body: [
      fourFunction({ name: 'w', form, outputs, columns: elements }),
      perElement(productText(shape), statements),
    ].join('\n\n'),
    grid: [{ factors: shape, divide: ELEMENTS }, ONE, ONE],
  };
}

/**
 * The windows as rows, so that the convolution is a linear layer: bindings x, out[batch, rows · columns, channels · kh
 * · kw].
 */
export function windowsKernel(spec: Conv2dSpec): Kernel {
  const [rows, columns] = positions(spec);
  const shape = [spec.batch, rows, columns, spec.channels * spec.window[0] * spec.window[1]];
  const statements = [
    ...coordinateTexts('index', shape).map((text, axis) => `let ${['b', 'row', 'column', 'element'][axis]} = ${text};`),
    ...pixelText(spec).split('\n'),
    'out[index] = pixel;',
  ];
  return {
    name: 'windows',
    doc: `Windows of ${spec.window.join(' × ')} of x[batch, ${spec.channels}, ${spec.size.join(', ')}], strides ${spec.strides.join(', ')}, as rows: an invocation an element.`,
    bindings: [
      { name: 'x', type: 'array<f32>', access: 'read' },
      { name: 'out', type: 'array<f32>', access: 'read_write' },
    ],
    body: perElement(productText(shape), statements),
    grid: [{ factors: shape, divide: ELEMENTS }, ONE, ONE],
  };
}

function positions({ size, window, strides, padding }: Conv2dSpec): readonly [number, number] {
  const along = (axis: 0 | 1) => Math.floor((size[axis] + 2 * padding[axis] - window[axis]) / strides[axis]) + 1;
  return [along(0), along(1)];
}

/** `let pixel`: element `element` (channel, y, x) of the window at `row`, `column` of image `b`. */
function pixelText(spec: Conv2dSpec): string {
  const { channels, size, window, strides, padding } = spec;
  if (padding.some((zeros) => zeros > 0)) return paddedPixelText(spec);
  const channel = `(b * ${channels}u + element / ${window[0] * window[1]}u)`;
  const y = `row * ${strides[0]}u + (element / ${window[1]}u) % ${window[0]}u`;
  return `let pixel = x[(${channel} * ${size[0]}u + ${y}) * ${size[1]}u + column * ${strides[1]}u + element % ${window[1]}u];`;
}

/** The same where zeros lie around the image: coordinates count from the first of them. */
function paddedPixelText({ channels, size, window, strides, padding }: Conv2dSpec): string {
  const inside = (name: string, axis: 0 | 1) =>
    `${name} >= ${padding[axis]}u && ${name} < ${padding[axis] + size[axis]}u`;
  const channel = `b * ${channels}u + element / ${window[0] * window[1]}u`;
  return [
    `let y = row * ${strides[0]}u + (element / ${window[1]}u) % ${window[0]}u;`,
    `let z = column * ${strides[1]}u + element % ${window[1]}u;`,
    `let inside = ${inside('y', 0)} && ${inside('z', 1)};`,
    `let at = ((${channel}) * ${size[0]}u + y - ${padding[0]}u) * ${size[1]}u + z - ${padding[1]}u;`,
    'let pixel = select(0.0, x[select(0u, at, inside)], inside);',
  ].join('\n');
}
