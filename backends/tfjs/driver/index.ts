export { load, type LoadOptions } from './load.ts';
export type { BundleLocation } from '../../client/sources/open_source.ts';
export { RuntimeError, type RuntimeErrorCode } from '../../client/errors.ts';
export type { PictureSource } from '../../client/images/picture.ts';
export type { DecodeOptions, GenerateOptions, ImageFeatures, Model, PrefillInput } from './model.ts';
export type { SamplingOptions } from './sample.ts';
export type { Tfjs } from './tfjs.ts';
