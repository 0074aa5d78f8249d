import { pixelValues } from '../../backends/client/images/picture.ts';
import { PROCESSORS, type PixelMode } from '../../backends/client/images/processor.ts';

/** Runs in a page for pictures.browser.test.ts: the pixel values of a picture by its address. */
export async function pixelsOf(url: string, size: number, mode: PixelMode): Promise<number[]> {
  return Array.from(await pixelValues(url, size, PROCESSORS[mode]));
}
