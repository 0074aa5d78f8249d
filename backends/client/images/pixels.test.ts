import { describe, expect, it } from 'vitest';
import { toPixelValues } from './pixels.ts';
import { PIXEL_MODES, PROCESSORS } from './processor.ts';
import { rgbImage } from './rgb_image.ts';

describe.each(PIXEL_MODES)('pixel values as %s has them', (mode) => {
  it('are planes of channels, black -1 and white 1', () => {
    const image = rgbImage(2, 1, Uint8Array.of(255, 0, 51, 255, 0, 51));
    const values = toPixelValues(image, 2, PROCESSORS[mode]);
    expect(values).toHaveLength(3 * 4);
    expect([...values.subarray(0, 4)]).toEqual([1, 1, 1, 1]);
    expect([...values.subarray(4, 8)]).toEqual([-1, -1, -1, -1]);
    for (const value of values.subarray(8)) expect(value).toBeCloseTo(-0.6, 6);
  });

  it.each([0, -1, 1.5, NaN, Infinity])('of size %d are refused', (size) => {
    expect(() => toPixelValues(rgbImage(1, 1, new Uint8Array(3)), size, PROCESSORS[mode])).toThrow(
      new RangeError(`pixel values of ${size}×${size}`),
    );
  });
});
