import type { PixelMode } from '../images/pixels.ts';
import { readJsonIfThere, type BundleSource } from '../sources/source.ts';

/** Pillow's number for bilinear: what preprocessor_config.json says of bundles that resize as big_vision does. */
const BILINEAR = 2;

/**
 * Whose pictures and prompts a bundle was made for; Hugging Face's where it does not say.
 * @throws RuntimeError `damaged`
 */
export async function processorOf(source: BundleSource): Promise<PixelMode> {
  const config: { readonly resample?: unknown } = await readJsonIfThere(source, 'preprocessor_config.json');
  return config.resample === BILINEAR ? 'bigvision' : 'huggingface';
}
