import { coordinateTexts, ELEMENTS, perElement } from './indexing.ts';
import type { Conv2dSpec } from './conv2d.ts';
import { ONE, type Kernel } from './kernel.ts';
import { formName, matrixBinding, type MatrixForm } from './matrix_form.ts';
import { fourFunction } from './matrix_text.ts';
import { productText } from './wgsl_text.ts';

/**
 * Bindings x[batch, channels, height, width], w ([channels, outputs · kh · kw] in a form), bias (f32), out[batch,
 * outputs, rows, columns]. Each element of the result adds up what it gets from those of x whose windows it lies in.
 */
export function convTranspose2dKernel(spec: Conv2dSpec, form: MatrixForm, outputs: number): Kernel {
  const { batch, channels, size, window, strides, padding } = spec;
  const along = (axis: 0 | 1) => (size[axis] - 1) * strides[axis] + window[axis] - 2 * padding[axis];
  const shape = [batch, outputs, along(0), along(1)];
  const elements = outputs * window[0] * window[1];
  const statements = [
    ...coordinateTexts('index', shape).map((text, axis) => `let ${['b', 'output', 'row', 'column'][axis]} = ${text};`),
    `let down = row + ${padding[0]}u;`,
    `let right = column + ${padding[1]}u;`,
    'var sum = bias[output];',
    `for (var y = down % ${strides[0]}u; y < ${window[0]}u && y <= down; y += ${strides[0]}u) {`,
    `  let source_row = (down - y) / ${strides[0]}u;`,
    `  if (source_row >= ${size[0]}u) { continue; }`,
    `  for (var z = right % ${strides[1]}u; z < ${window[1]}u && z <= right; z += ${strides[1]}u) {`,
    `    let source_column = (right - z) / ${strides[1]}u;`,
    `    if (source_column >= ${size[1]}u) { continue; }`,
    `    let element = (output * ${window[0]}u + y) * ${window[1]}u + z;`,
    `    for (var channel = 0u; channel < ${channels}u; channel++) {`,
    `      let pixel = x[((b * ${channels}u + channel) * ${size[0]}u + source_row) * ${size[1]}u + source_column];`,
    '      sum += pixel * w_four(channel, element & ~3u)[element & 3u];',
    '    }',
    '  }',
    '}',
    'out[index] = sum;',
  ];
  return {
    name: `conv_transpose2d_${formName(form)}`,
    doc: `Transposed convolution of x[batch, ${channels}, ${size.join(', ')}] by w[${channels}, ${elements}] ${formName(form)} to ${outputs} channels with windows of ${window.join(' × ')}, strides ${strides.join(', ')}, padding ${padding.join(', ')}: an invocation an element.`,
    bindings: [
      { name: 'x', type: 'array<f32>', access: 'read' },
      matrixBinding('w'),
      { name: 'bias', type: 'array<f32>', access: 'read' },
      { name: 'out', type: 'array<f32>', access: 'read_write' },
    ],
    body: [
      fourFunction({ name: 'w', form, outputs: channels, columns: elements }),
      perElement(productText(shape), statements),
    ].join('\n\n'),
    grid: [{ factors: shape, divide: ELEMENTS }, ONE, ONE],
  };
}
