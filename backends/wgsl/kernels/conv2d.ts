import type { Dim } from '../../../ir/dim.ts';
import type { Kernel } from './kernel.ts';
import type { MatrixForm } from './matrix_form.ts';

export interface Conv2dSpec {
  readonly batch: Dim;
  readonly channels: number;
  /** Of the image: height, width. */
  readonly size: readonly [number, number];
  readonly window: readonly [number, number];
  readonly strides: readonly [number, number];
}

/** Bindings x[batch, channels, height, width], w ([outputs, channels · kh · kw] in a form), bias (f32), out[batch, outputs, rows, columns]. */
export function conv2dKernel(_spec: Conv2dSpec, _form: MatrixForm, _outputs: number): Kernel {
  throw new Error('being written');
}

/** The windows as rows, so that the convolution is a linear layer: bindings x, out[batch, rows · columns, channels · kh · kw]. */
export function windowsKernel(_spec: Conv2dSpec): Kernel {
  throw new Error('being written');
}
