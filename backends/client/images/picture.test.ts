import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { pixelValues } from './picture.ts';

const FILE = join(import.meta.dirname, '../../../fixtures/preprocess/noise_40x31.png');
const rgb = { width: 2, height: 1, data: Uint8Array.of(0, 51, 255, 10, 20, 30) };

afterEach(() => vi.unstubAllGlobals());

describe('a picture', () => {
  test('by path, URL, bytes, Blob: the same pixels', async () => {
    const bytes = await readFile(FILE);
    const expected = await pixelValues(FILE, 8);
    expect(expected).toHaveLength(3 * 8 * 8);
    expect(new Set(expected).size).toBeGreaterThan(20);
    for (const source of [
      pathToFileURL(FILE),
      bytes,
      new Blob([bytes]),
      `data:image/png;base64,${bytes.toString('base64')}`,
    ])
      expect(await pixelValues(source, 8)).toEqual(expected);
  });

  test('of raw pixels, with alpha or without: planes in [-1, 1]', async () => {
    const rgba = { width: 2, height: 1, data: Uint8ClampedArray.of(0, 51, 255, 0, 10, 20, 30, 128) };
    const planes = await pixelValues({ width: 1, height: 1, data: Uint8Array.of(0, 51, 255) }, 1);
    expect([...planes].map((x) => Math.round(x * 1e6))).toEqual([-1e6, -6e5, 1e6]);
    expect(await pixelValues(rgba, 3)).toEqual(await pixelValues(rgb, 3));
  });

  test('in a browser: what a canvas makes of it', async () => {
    const drawn: unknown[] = [];
    class OffscreenCanvas {
      getContext() {
        return {
          drawImage: (image: unknown) => void drawn.push(image),
          getImageData: (x: number, y: number, width: number, height: number) => ({
            width,
            height,
            data: new Uint8ClampedArray(width * height * 4).fill(255),
          }),
        };
      }
    }
    let closed = 0;
    vi.stubGlobal('OffscreenCanvas', OffscreenCanvas);
    vi.stubGlobal('createImageBitmap', async () => ({ width: 3, height: 2, close: () => closed++ }));
    expect(await pixelValues(new Blob(['x']), 1)).toEqual(Float32Array.of(1, 1, 1));
    expect(await pixelValues({ width: 0, height: 0, naturalWidth: 4, naturalHeight: 4 }, 1)).toEqual(
      Float32Array.of(1, 1, 1),
    );
    expect([drawn.length, closed]).toEqual([2, 1]);
    // but of a GIF, of which it would make black what is transparent
    const gif = await readFile(join(import.meta.dirname, '../../../fixtures/preprocess/gif/transparent.gif'));
    const found = await pixelValues(gif, 8);
    expect(drawn).toHaveLength(2);
    await expect(pixelValues({ width: 0, height: 0 }, 1)).rejects.toMatchObject({ code: 'bad_input' });
    vi.unstubAllGlobals();
    expect(found).toEqual(await pixelValues(gif, 8));
  });

  test('that is none', async () => {
    await expect(pixelValues('/nowhere.png', 4)).rejects.toMatchObject({ code: 'not_found' });
    await expect(pixelValues(new Blob(['<html>']), 4)).rejects.toMatchObject({ code: 'bad_input' });
    await expect(pixelValues({ ...rgb, width: 3 }, 4)).rejects.toMatchObject({ code: 'bad_input' });
    await expect(pixelValues({ width: 3, height: 3 }, 4)).rejects.toMatchObject({ code: 'bad_input' });
    await expect(pixelValues({ width: 0, height: 0, data: new Uint8Array(0) }, 4)).rejects.toMatchObject({
      code: 'bad_input',
    });
  });
});
