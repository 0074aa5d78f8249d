import type { Manifest } from '../bundle/manifest.ts';
import { describeNonFinite, type NonFinite } from '../bundle/nonfinite.ts';
import type { ModuleChange } from '../models/adapters/index.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { checkStaged, type StagedChecks } from './check_staged.ts';
import type { ConvertOptions } from './convert_options.ts';
import { emitBundle } from './emit_bundle.ts';
import { openConversion, type Conversion } from './open_conversion.ts';
import { preparePrograms, type PreparedPrograms } from './prepare_programs.ts';
import { writeBundle } from './write_bundle.ts';

export interface ConvertResult extends StagedChecks {
  /** Absolute path of the bundle. */
  readonly out: string;
  readonly manifest: Manifest;
  readonly bytes: number;
  readonly warnings: readonly string[];
  /** What adapters did to each module. */
  readonly changes: readonly ModuleChange[];
  readonly notes: readonly string[];
  readonly nonFinite: readonly NonFinite[];
}

/**
 * Converts a checkpoint: opens it, prepares its programs, emits a bundle, writes that as a stream, and puts it in place
 * when it computes in its real runtime what the original computes.
 * @throws PgconvError: bad input, an output that cannot be written, ParityError (with `report`) when the bundle differs
 */
export async function convert(options: ConvertOptions, reporter: Reporter): Promise<ConvertResult> {
  const conversion = await openConversion(options, reporter);
  try {
    const programs = await prepare(conversion, reporter);
    try {
      const emitted = await emitBundle(conversion, programs.bundle);
      const notes = [...programs.notes, ...emitted.notes];
      for (const note of notes) reporter.note(note);

      let checks: StagedChecks = { samples: [] };
      const check = async (dir: string, manifest: Manifest) => {
        checks = await checkStaged(conversion, programs, { dir, manifest }, reporter);
      };
      const { dir, manifest, nonFinite } = await writeBundle(conversion, { ...emitted, notes }, check, reporter);
      for (const found of nonFinite) reporter.warn(describeNonFinite(found));

      const { warnings, model } = conversion.source;
      const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
      return { out: dir, manifest, bytes, warnings, changes: model.changes, notes, nonFinite, ...checks };
    } finally {
      await programs.dispose();
    }
  } finally {
    await conversion.close();
  }
}

/** The programs of a conversion in its precision: calibrated, quantized. */
function prepare(conversion: Conversion, reporter: Reporter): Promise<PreparedPrograms> {
  const { options, made, recorded, source, backend, verify, tokenizer, processor } = conversion;
  const { strict, allowOverflow } = recorded;
  const { model } = source;
  return preparePrograms(
    { ...options, ...made, strict, allowOverflow, model, backend, verify, tokenizer, processor },
    reporter,
  );
}
