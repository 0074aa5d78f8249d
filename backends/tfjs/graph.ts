import type { TensorData } from '../../ir/tensor.ts';

/** Element types of tensors in tfjs. i64 of the IR is int32 here. */
export type TfDType = 'float32' | 'int32' | 'bool';

/** An attribute of a node of a GraphDef. In shapes, -1 is a size that is known at run time only. */
export type TfAttr =
  | { readonly type: TfDType }
  | { readonly int: number }
  | { readonly float: number }
  | { readonly bool: boolean }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly shape: readonly number[] }
  | { readonly text: string }
  | { readonly texts: readonly string[] };

/** What the static check needs to know of a tensor. */
export interface TfType {
  readonly dtype: TfDType;
  readonly rank: number;
}

/** One node of the topology; it makes one tensor, of its own name. */
export interface TfNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attrs: Readonly<Record<string, TfAttr>>;
  readonly inputTypes: readonly TfType[];
  readonly output: TfType;
}

/** How the stock loader makes numbers of stored bytes: halves, or code · scale + min. */
export type Quantization =
  | { readonly dtype: 'float16' }
  | { readonly dtype: 'uint8'; readonly scale: number; readonly min: number };

/** A constant of the graph. */
export interface TfWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** What the loader makes of it. */
  readonly dtype: TfDType;
  /** The bytes as they are stored: of `dtype` where there is no quantization. */
  readonly data: TensorData;
  readonly quantization?: Quantization;
}

export interface TfPort {
  /** By which the outside knows it. */
  readonly name: string;
  /** The node that makes it. */
  readonly tensor: string;
  readonly dtype: TfDType;
  /** Numbers, or sizes as `printDim` writes them. */
  readonly shape: readonly (number | string)[];
}

/** One graph model. */
export interface TfGraph {
  readonly name: string;
  readonly inputs: readonly TfPort[];
  readonly outputs: readonly TfPort[];
  readonly stages: readonly TfPort[];
  readonly nodes: readonly TfNode[];
  readonly weights: readonly TfWeight[];
}
