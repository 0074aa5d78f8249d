import { createHash } from 'node:crypto';
import type { Undertaking } from '../bundle/journal.ts';
import { sourceFiles } from '../models/open_model.ts';
import { TOOL } from '../version.ts';
import type { EmittedBundle } from './emit_bundle.ts';
import type { Conversion } from './open_conversion.ts';
import type { PreparedPrograms } from './prepare_programs.ts';

/**
 * What a conversion writes: of all that its bytes follow from, a hash. Paths of files that were read are not in it, but
 * what the file system says of them, which differs when they were written since.
 */
export function undertakingOfConversion(
  { options, recorded, source, backend }: Conversion,
  { shown, storage }: Pick<PreparedPrograms, 'shown' | 'storage'>,
  { texts }: Pick<EmittedBundle, 'texts'>,
): Pick<Undertaking, 'command' | 'sources'> {
  return {
    command: sha256([TOOL, backend.name, options.precision, recorded, shown ?? '', storage ?? {}, texts]),
    sources: sha256(sourceFiles(source).map(({ name, fingerprint }) => [name, fingerprint])),
  };
}

function sha256(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
