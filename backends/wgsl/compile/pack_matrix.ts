import type { TensorData } from '../../../ir/tensor.ts';

/** Rows of a matrix as the IR has them: floats [N, K], or codes q[N, blocks, block] with scales and zeros [N, blocks]. */
export type MatrixParts =
  | { readonly kind: 'float'; readonly data: TensorData }
  | { readonly kind: 'codes'; readonly q: TensorData; readonly scales: TensorData; readonly zeros?: TensorData };
