import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pixelValues, type PictureSource } from './picture.ts';

/** A canvas of one colour, whatever is drawn on it. */
class OffscreenCanvas {
  readonly width: number;
  readonly height: number;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    sizes.push([width, height]);
  }

  getContext() {
    return {
      drawImage() {},
      getImageData: (_x: number, _y: number, width: number, height: number) => ({
        width,
        height,
        data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => [255, 0, 255, 7][i % 4]!),
      }),
    };
  }
}

const sizes: [number, number][] = [];
beforeEach(() => {
  sizes.length = 0;
  vi.stubGlobal('OffscreenCanvas', OffscreenCanvas);
});
afterEach(() => vi.unstubAllGlobals());

describe('what a canvas can draw', () => {
  it.each<[string, PictureSource, [number, number]]>([
    ['one pixel', { width: 1, height: 1 }, [1, 1]],
    ['a column', { width: 1, height: 9 }, [1, 9]],
    ['a row', { width: 9, height: 1 }, [9, 1]],
    ['an <img>, in its own size', { width: 5, height: 6, naturalWidth: 50, naturalHeight: 60 }, [50, 60]],
  ])('%s', async (_, picture, size) => {
    expect([...(await pixelValues(picture, 1))]).toEqual([1, -1, 1]);
    expect(sizes).toEqual([size]);
  });

  it.each([
    [0, 5],
    [5, 0],
    [0, 0],
    [-1, 5],
  ])('is not %d × %d', async (width, height) => {
    await expect(pixelValues({ width, height }, 1)).rejects.toMatchObject({ code: 'bad_input' });
    expect(sizes).toEqual([]);
  });

  it('needs a canvas', async () => {
    vi.stubGlobal('OffscreenCanvas', undefined);
    await expect(pixelValues({ width: 5, height: 5 }, 1)).rejects.toMatchObject({ code: 'bad_input' });
  });
});

describe('pixels', () => {
  it('are three bytes each, or four of which the last does not count', async () => {
    const of3 = { width: 1, height: 1, data: Uint8Array.of(255, 0, 255) };
    const of4 = { width: 1, height: 1, data: Uint8ClampedArray.of(255, 0, 255, 9) };
    for (const picture of [of3, of4]) expect([...(await pixelValues(picture, 1))]).toEqual([1, -1, 1]);
  });

  it.each([
    [1, 1, 2],
    [1, 1, 5],
    [2, 1, 3],
    [0, 1, 0],
  ])('are not %d × %d in %d bytes', async (width, height, bytes) => {
    await expect(pixelValues({ width, height, data: new Uint8Array(bytes) }, 1)).rejects.toMatchObject({
      code: 'bad_input',
      message: expect.stringContaining(`${bytes} bytes for ${width}×${height} pixels`) as string,
    });
  });
});
