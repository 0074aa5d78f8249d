import { join } from 'node:path';
import type { Manifest } from '../bundle/manifest.ts';
import { convert } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { removePath } from '../disk.js';
import type { Reporter } from '../terminal/reporter.ts';
import type { Variant } from './variant.ts';

/** What is converted, whatever the variant. */
export type ConversionSource = Pick<
  ConvertOptions,
  | 'checkpoint'
  | 'adapters'
  | 'reference'
  | 'finalSoftcap'
  | 'slidingWindow'
  | 'leaveOut'
  | 'maskDecoder'
  | 'tokenizer'
  | 'signal'
>;

/** A bundle on disk, to be measured. */
export interface MadeBundle {
  readonly dir: string;
  /** Unless it is to be kept. */
  remove(): Promise<void>;
}

/** Converts, without the verification that the measurement stands for. @throws what `convert` throws */
export async function makeBundle(
  variant: Variant,
  source: ConversionSource,
  place: { readonly dir: string; readonly keep: boolean },
  reporter: Reporter,
): Promise<MadeBundle> {
  const { label, backend, precision, settings } = variant;
  const dir = join(place.dir, label.replaceAll(/[^\w.=-]+/g, '-'));
  const { manifest } = await convert(
    { ...source, ...settings, backend, precision, out: dir, force: true, verify: false },
    reporter,
  );
  checkSettings(variant, manifest);
  return { dir, remove: () => (place.keep ? Promise.resolve() : removePath(dir)) };
}

/** A bundle that does not tell a setting was made without it: its figures would stand under a wrong name. */
function checkSettings({ label, settings }: Variant, { options }: Manifest): void {
  const told = new Map<string, unknown>(Object.entries(options));
  for (const [name, value] of Object.entries(settings))
    if (told.get(name) !== value) throw new Error(`${label}: the manifest does not tell ${name} ${String(value)}`);
}
