import type { Port, Value } from '../../../ir/graph.ts';
import type { DType } from '../../../ir/dtypes/index.ts';
import type { TensorData } from '../../../ir/tensor.ts';

export type OnnxAttribute = number | bigint | string | readonly number[] | { readonly float: number };

/** ONNX's own ops, or ONNX Runtime's contrib ops. */
export type OnnxDomain = '' | 'com.microsoft';

/** A node of the target, before it is bytes. An empty input name is an absent optional operand. */
export interface OnnxNode {
  readonly opType: string;
  readonly domain: OnnxDomain;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** A number is an INT, `{ float }` a FLOAT, a list INTS. */
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** Bytes known now: shape constants and literals of the graph. */
export interface LiteralInitializer {
  readonly kind: 'literal';
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Bytes of the checkpoint, unread. */
export interface WeightInitializer {
  readonly kind: 'weight';
  readonly name: string;
  readonly data: TensorData;
}

export type Initializer = LiteralInitializer | WeightInitializer;

/** One graph lowered: names are final, no weight has been read. */
export interface OnnxGraph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Port[];
  readonly nodes: readonly OnnxNode[];
  /** In the order of their first use. */
  readonly initializers: readonly Initializer[];
  readonly stages: readonly { readonly name: string; readonly tensor: string; readonly value: Value }[];
}
