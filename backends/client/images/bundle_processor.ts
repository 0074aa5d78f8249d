import { readJsonIfThere, type BundleSource } from '../sources/source.ts';
import { processorFrom, type Processor } from './processor.ts';

const FILE = 'preprocessor_config.json';

/**
 * How a bundle wants pictures and prompts, as `pgconv run` reads it: whose way (`--reference`) of manifest.json,
 * Hugging Face's where there is none, and the steps of preprocessor_config.json. (That one does not say whose: a
 * checkpoint of Hugging Face's may resize as big_vision does, and has Hugging Face's prompts.)
 * @throws RuntimeError `damaged`
 */
export async function processorOf(source: BundleSource): Promise<Processor> {
  const [manifest, fields] = await Promise.all([
    readJsonIfThere(source, 'manifest.json'),
    readJsonIfThere(source, FILE),
  ]);
  const { options }: { readonly options?: { readonly reference?: unknown } } = manifest;
  return processorFrom(
    options?.reference === 'bigvision' ? 'bigvision' : 'huggingface',
    fields,
    `${source.name}: ${FILE}`,
  );
}
