import { printDim, type Dim } from '../../../ir/dim.ts';
import { ONE, type Kernel, type KernelBinding } from './kernel.ts';
import { perRow, rowGrid, rowThreads, sumOver } from './row_reduction.ts';

export interface LayerNormSpec {
  /** Of x and the result; the last axis is normalised. */
  readonly shape: readonly Dim[];
  readonly epsilon: number;
}

const floats = (name: string): KernelBinding => ({ name, type: 'array<f32>', access: 'read' });
const result = (name: string): KernelBinding => ({ name, type: 'array<f32>', access: 'read_write' });
const shapeText = (shape: readonly Dim[]) => `[${shape.map(printDim).join(', ')}]`;

/** Bindings x, scale, bias, out. */
export function layerNormKernel({ shape, epsilon }: LayerNormSpec): Kernel {
  const threads = rowThreads(shape.at(-1)!);
  const statements = `\
  var total = 0.0;
  for (var i = local; i < width; i += ${threads}u) { total += x[start + i]; }
  let mean = sum(total, local) / f32(width);
  var squares = 0.0;
  for (var i = local; i < width; i += ${threads}u) {
    let centred = x[start + i] - mean;
    squares += centred * centred;
  }
  let inverse = 1.0 / sqrt(sum(squares, local) / f32(width) + ${epsilon}f);
  for (var i = local; i < width; i += ${threads}u) { out[start + i] = (x[start + i] - mean) * inverse * scale[i] + bias[i]; }`;
  return {
    name: 'layer_norm',
    doc: `(x - mean) / sqrt(variance + ${epsilon}) * scale + bias over the last axis of x${shapeText(shape)}: a workgroup a row.`,
    bindings: [floats('x'), floats('scale'), floats('bias'), result('out')],
    body: [sumOver(threads), perRow(shape, threads, statements)].join('\n\n'),
    grid: [rowGrid(shape), ONE, ONE],
  };
}

/**
 * h = residual + (post ? rms_norm(x) · post_scale : x), or without residual just what would be added; n = rms_norm(h) ·
 * scale.
 */
export interface RmsNormSpec {
  readonly shape: readonly Dim[];
  /** x is normalised before it is added. */
  readonly post?: { readonly epsilon: number };
  readonly residual: boolean;
  /** n is stored. */
  readonly norm?: { readonly epsilon: number };
  /** h is stored. */
  readonly storeSum: boolean;
}

/**
 * Bindings x, [post_scale], [residual], [scale: with norm], [sum: with storeSum], [out: with norm]. The IR's rms_norm
 * is {residual: false, norm, storeSum: false}; add_rms_norm(x, y) is {residual: true, norm, storeSum: true}, whose
 * results are out, sum.
 */
export function rmsNormKernel({ shape, post, residual, norm, storeSum }: RmsNormSpec): Kernel {
  const threads = rowThreads(shape.at(-1)!);
  const loop = (body: string) => `  for (var i = local; i < width; i += ${threads}u) {\n${body}\n  }`;
  const inverse = (squares: string, epsilon: number) => `1.0 / sqrt(sum(${squares}, local) / f32(width) + ${epsilon}f)`;
  const added = post ? 'x[start + i] * post_inverse * post_scale[i]' : 'x[start + i]';
  const h = residual ? `residual[start + i] + ${added}` : added;
  const statements = [
    ...(post
      ? [
          '  var post_squares = 0.0;',
          loop('    post_squares += x[start + i] * x[start + i];'),
          `  let post_inverse = ${inverse('post_squares', post.epsilon)};`,
        ]
      : []),
    '  var squares = 0.0;',
    loop(
      [`    let h = ${h};`, ...(storeSum ? ['    sum_out[start + i] = h;'] : []), '    squares += h * h;'].join('\n'),
    ),
    ...(norm
      ? [
          `  let inverse = ${inverse('squares', norm.epsilon)};`,
          loop(`    out[start + i] = (${storeSum ? 'sum_out[start + i]' : h}) * inverse * scale[i];`),
        ]
      : []),
  ].join('\n');
  const branch = post ? `rms_norm(x, ${post.epsilon}) * post_scale` : 'x';
  const formula = residual ? `residual + ${branch}` : branch;
  return {
    name: [residual ? 'add' : '', post ? 'post_norm' : '', norm ? 'rms_norm' : '']
      .filter((part) => part !== '')
      .join('_'),
    doc: [
      `h = ${formula}`,
      ...(norm ? [`out = rms_norm(h, ${norm.epsilon}) * scale`] : []),
      `over the last axis of ${shapeText(shape)}: a workgroup a row.`,
    ].join('; '),
    bindings: [
      floats('x'),
      ...(post ? [floats('post_scale')] : []),
      ...(residual ? [floats('residual')] : []),
      ...(norm ? [floats('scale')] : []),
      ...(storeSum ? [result('sum_out')] : []),
      ...(norm ? [result('out')] : []),
    ],
    body: [sumOver(threads), perRow(shape, threads, statements)].join('\n\n'),
    grid: [rowGrid(shape), ONE, ONE],
  };
}
