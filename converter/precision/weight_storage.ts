import { FORMAT_NAMES, type FormatName } from '../../ir/formats/index.ts';

/** How the values of one matrix are stored: codes in blocks, or floats. */
export type WeightStorage = FormatName | 'fp16' | 'fp32';
export const STORAGES: readonly WeightStorage[] = [...FORMAT_NAMES, 'fp16', 'fp32'];

/** Where a weight is: layers count from 0 within their tower. */
export interface LayerPlace {
  readonly tower: string;
  readonly layer: number;
  readonly layers: number;
}

/** What a matrix is in its model: a family says it by name, so that neither backends nor passes need to know any. */
export type WeightRole =
  | { readonly part: 'embedding' }
  | { readonly part: 'head' }
  /** Rows of floats that a model's own codes name. */
  | { readonly part: 'codebook' }
  | ({ readonly part: 'value' } & LayerPlace)
  | ({ readonly part: 'down' } & LayerPlace);

/** The role of a weight; undefined for one that no rule singles out. */
export type RoleOf = (name: string) => WeightRole | undefined;
