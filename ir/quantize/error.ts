import type { TensorData } from '../tensor.ts';

/**
 * `scheme`: no such scheme, or it does not fit the matrix; `importance`: not one finite number ≥ 0 for each column;
 * `non_finite`: a weight is NaN or infinite, which no code means; `overflow`: a scale is beyond binary16; `hessian`:
 * not that of the matrix, or not positive definite.
 */
export type QuantizeErrorCode = 'scheme' | 'importance' | 'non_finite' | 'overflow' | 'hessian';

/** A matrix that cannot be quantized as asked, by place; whoever wires it gives it an exit code. */
export class QuantizeError extends Error {
  override readonly name = 'QuantizeError';
  readonly code: QuantizeErrorCode;
  readonly place: { readonly file?: string; readonly tensor?: string; readonly hint: string };

  constructor(code: QuantizeErrorCode, message: string, hint: string, data?: TensorData) {
    super(message);
    this.code = code;
    this.place = { ...(data?.from && { file: data.from.file, tensor: data.from.key }), hint };
  }
}
