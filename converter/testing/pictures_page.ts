import { pixelValues } from '../../backends/client/images/picture.ts';
import { PIXEL_MODES, PROCESSORS } from '../../backends/client/images/processor.ts';

/** Runs in a page for pictures.browser.test.ts: pixel values of pictures by their addresses, in each mode. */
export function pixelsOf(urls: readonly string[], size: number): Promise<number[][][]> {
  return Promise.all(
    urls.map((url) =>
      Promise.all(PIXEL_MODES.map(async (mode) => Array.from(await pixelValues(url, size, PROCESSORS[mode])))),
    ),
  );
}
