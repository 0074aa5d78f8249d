/** A picture as both references hand it to their resize: 8-bit RGB, rows from the top. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3], interleaved. */
  readonly data: Uint8Array;
}

/** @throws RangeError unless the sides are positive integers and the bytes fill them. */
export function rgbImage(width: number, height: number, data: Uint8Array): RgbImage {
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || width < 1 || height < 1)
    throw new RangeError(`a picture of ${width}×${height} pixels`);
  if (data.length !== width * height * 3)
    throw new RangeError(`${data.length} bytes for ${width}×${height} RGB pixels`);
  return { width, height, data };
}
