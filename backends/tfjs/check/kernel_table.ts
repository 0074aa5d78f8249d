import table from './kernel_table.json' with { type: 'json' };

export type TfBackend = 'cpu' | 'wasm' | 'webgl' | 'webgpu';

/** What a version of tfjs has. */
export interface KernelTable {
  readonly version: string;
  /** Ops that the converter's executor knows. */
  readonly ops: readonly string[];
  readonly kernels: Readonly<Record<TfBackend, readonly string[]>>;
}

/** Of tfjs 4.22: `npm run generate:tfjs-kernels` writes it. */
export const kernelTable: KernelTable = table;
