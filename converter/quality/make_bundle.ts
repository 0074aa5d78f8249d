import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { convert, type ConvertOptions } from '../convert.ts';
import type { Reporter } from '../progress/reporter.ts';
import type { Variant } from './variant.ts';

/** What is converted, whatever the variant. */
export type ConversionSource = Pick<ConvertOptions, 'checkpoint' | 'adapters' | 'reference' | 'finalSoftcap' | 'slidingWindow' | 'tokenizer' | 'signal'>;

/** A bundle on disk, to be measured. */
export interface MadeBundle {
  readonly dir: string;
  /** Unless it is to be kept. */
  remove(): Promise<void>;
}

/** Converts, without the verification that the measurement stands for. @throws what `convert` throws */
export async function makeBundle({ label, backend, precision }: Variant, source: ConversionSource, place: { readonly dir: string; readonly keep: boolean }, reporter: Reporter): Promise<MadeBundle> {
  const dir = join(place.dir, label.replaceAll(/[^\w.-]+/g, '-'));
  await convert({ ...source, backend, precision, out: dir, force: true, verify: false }, reporter);
  return { dir, remove: () => (place.keep ? Promise.resolve() : rm(dir, { recursive: true, force: true })) };
}
