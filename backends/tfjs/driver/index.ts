export { load, type LoadOptions } from './load.ts';
export type { BundleLocation } from '../../client/sources/open_source.ts';
export { RuntimeError, type RuntimeErrorCode } from '../../client/errors.ts';
export type { PictureSource } from '../../client/images/picture.ts';
export type { DecodeOptions } from '../../client/generation/picture_model.ts';
export type { SamplingOptions } from '../../client/generation/sampling.ts';
export type { ImageFeatures } from './image_features.ts';
export type { GenerateOptions, Model, PrefillInput } from './model.ts';
export type { Tfjs } from './tfjs.ts';
