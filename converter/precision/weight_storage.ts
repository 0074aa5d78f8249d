import { FORMAT_NAMES, type FormatName } from '../../ir/formats/index.ts';

/** How the values of one matrix are stored: codes in blocks, or floats. */
export type WeightStorage = FormatName | 'fp16' | 'fp32';
export const STORAGES: readonly WeightStorage[] = [...FORMAT_NAMES, 'fp16', 'fp32'];

/** Where a weight is: layers count from 0 within their tower. */
export interface LayerPlace {
  readonly tower: 'vision' | 'decoder';
  readonly layer: number;
  readonly layers: number;
}

/** Matrices of a layer: four of its attention, then those of its MLP, where an image tower has no gate. */
export type LayerPart = 'query' | 'key' | 'value' | 'output' | 'gate' | 'up' | 'down';

/** What a matrix is in its model: a family says it by name, so that neither backends nor passes need to know any. */
export type WeightRole =
  | { readonly part: 'embedding' }
  | { readonly part: 'head' }
  /** From the image tower's width to the decoder's. */
  | { readonly part: 'projector' }
  /** Rows of floats that a model's own codes name. */
  | { readonly part: 'codebook' }
  | ({ readonly part: LayerPart } & LayerPlace);

/** The role of a weight; undefined for one that the family does not know. */
export type RoleOf = (name: string) => WeightRole | undefined;
