export { pixelValues, type PixelOptions, type PixelValues } from './pixel_values.ts';
export type { PictureSource } from '../images/picture.ts';
export type { PixelMode } from '../images/processor.ts';
export { RuntimeError, type RuntimeErrorCode } from '../errors.ts';
