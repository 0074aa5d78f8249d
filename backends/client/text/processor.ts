import type { PixelMode } from '../images/pixels.ts';
import { readJsonIfThere, type BundleSource } from '../sources/source.ts';

/**
 * Whose pictures and prompts a bundle was made for (`--reference`), as `pgconv run` reads it: of manifest.json. Hugging
 * Face's where there is none. (preprocessor_config.json does not say it: a checkpoint of Hugging Face's may resize as
 * big_vision does, and has Hugging Face's prompts.)
 * @throws RuntimeError `damaged`
 */
export async function processorOf(source: BundleSource): Promise<PixelMode> {
  const { options }: { readonly options?: { readonly reference?: unknown } } = await readJsonIfThere(
    source,
    'manifest.json',
  );
  return options?.reference === 'bigvision' ? 'bigvision' : 'huggingface';
}
