/**
 * What happens to a value before it is stored, as WGSL: `gelu_tanh(gate) * up + residual[at]`. The compiler builds it
 * from elementwise ops; kernels insert it where their result is in a register.
 */
export interface Epilogue {
  /**
   * Expression of type f32 over `y0`, `y1`, … (results of the kernel's matrices), `row`, `column` (u32) and the
   * operands.
   */
  readonly text: string;
  /** Further storage bindings that the text reads. */
  readonly operands: readonly { readonly name: string; readonly type: string }[];
  /** WGSL functions that the text calls. */
  readonly functions: readonly string[];
}

/** The result as it is. */
export const PLAIN: Epilogue = { text: 'y0', operands: [], functions: [] };
