import type { TensorData } from '../../../ir/tensor.ts';
import type { SidecarName, SourceFile } from '../../checkpoints/checkpoint.ts';
import type { InputFile } from '../../inputs/input_file.ts';
import type { AdapterConfig } from './adapter_config.ts';

/** An opened PEFT adapter: its config was read and checked, of its tensors only dtypes and shapes are known. */
export interface Adapter {
  /** The folder, absolute. */
  readonly path: string;
  /** The folder's name, for reports: the same wherever it lies. */
  readonly name: string;
  /** What every change is multiplied by, on top of alpha / rank. Tensors that replace a weight whole are not scaled. */
  readonly scale: number;
  readonly config: AdapterConfig;
  /** By the name that the file gives them. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Files of the tokenizer that was saved with it. */
  readonly sidecars: ReadonlyMap<SidecarName, InputFile>;
  /** Weights and config. */
  readonly files: readonly SourceFile[];
  readonly warnings: readonly string[];
  close(): Promise<void>;
}

/** What an adapter does to one weight. */
export interface ModuleChange {
  /** The adapter's name. */
  readonly adapter: string;
  /** The module as the adapter spells it, without PEFT's prefix; a bias ends with `.bias`. */
  readonly module: string;
  /** Canonical name of the weight. */
  readonly weight: string;
  readonly kind: 'lora' | 'dora' | 'bias' | 'replaced' | 'tokens';
  /** Frobenius norm of the change of the weight, with every scale in it. */
  readonly norm: number;
  /** The same as a part of the weight's own norm; only where the weight had to be read anyway. */
  readonly relative?: number;
  readonly rank?: number;
  /** scale · alpha / rank (rsLoRA: / √rank). */
  readonly scaling?: number;
}
