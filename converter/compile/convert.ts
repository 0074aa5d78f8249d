import type { PassRun } from '../../ir/passes/index.ts';
import { claimOutput, type Claim } from '../bundle/claim.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { describeNonFinite, type NonFinite } from '../bundle/nonfinite.ts';
import type { ModuleChange } from '../models/adapters/index.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withWait } from '../terminal/waiting.ts';
import { checkStaged, type StagedChecks } from './check_staged.ts';
import { defaultOut, type ConvertOptions } from './convert_options.ts';
import { emitBundle } from './emit_bundle.ts';
import { openConversion, type Conversion } from './open_conversion.ts';
import { irFolder, irTexts, writeIr } from './print_ir.ts';
import { preparePrograms, type PreparedPrograms } from './prepare_programs.ts';
import { undertakingOfConversion } from './undertaking.ts';
import { writeBundle } from './write_bundle.ts';

export interface ConvertResult extends StagedChecks {
  /** Absolute path of the bundle. */
  readonly out: string;
  /** What its manifest.json holds. */
  readonly manifest: Manifest;
  /** Of all its files. */
  readonly bytes: number;
  /** What a careful user should read: a sentence each. */
  readonly warnings: readonly string[];
  /** What adapters did to each module. */
  readonly changes: readonly ModuleChange[];
  /** What was chosen and added: a sentence each. */
  readonly notes: readonly string[];
  /** Stored weights that are no numbers, by tensor. */
  readonly nonFinite: readonly NonFinite[];
}

/**
 * Converts a checkpoint: opens it, prepares its programs, emits a bundle, writes that as a stream, and puts it in place
 * when it computes in its real runtime what the original computes.
 * @throws PgconvError: bad input, an output that cannot be written, ParityError (with `report`) when the bundle differs
 */
export async function convert(options: ConvertOptions, reporter: Reporter): Promise<ConvertResult> {
  const claim = await claimOutput(options.out ?? defaultOut(options), options.force);
  try {
    return await convertTo(claim, options, reporter);
  } finally {
    await claim.release();
  }
}

async function convertTo(claim: Claim, options: ConvertOptions, reporter: Reporter): Promise<ConvertResult> {
  const conversion = await openConversion(options, claim, reporter);
  try {
    const programs = await withWait(reporter, 'prepare the program', () => prepare(conversion, reporter));
    try {
      const emitted = await withWait(reporter, 'compile its graphs', () => emitBundle(conversion, programs));
      await printIr(conversion);
      const notes = [...programs.notes, ...emitted.notes];
      for (const note of notes) reporter.note(note);

      let checks: StagedChecks = { samples: [] };
      const check = async (dir: string, manifest: Manifest) => {
        checks = await checkStaged(conversion, programs, { dir, manifest }, reporter);
        const links = (checks.verification ?? checks.original)?.links;
        return links && { files: await emitted.saying(links), fields: { verification: links } };
      };
      const resume = undertakingOfConversion(conversion, programs, emitted);
      const { storage, chosenByData } = programs;
      const written = { files: emitted.files, notes, storage, chosenByData, resume };
      const { dir, manifest, nonFinite } = await writeBundle(conversion, written, check, reporter);
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

/** The text of graphs, where it was asked for: before weights are written, which takes longer. */
async function printIr({ options, claim, passRuns, source }: Conversion): Promise<void> {
  if (options.printIr)
    await writeIr(irFolder(claim.folder.path), irTexts(source.model.program, passRuns, options.printIr));
}

/** The programs of a conversion in its precision: calibrated, quantized. */
function prepare(conversion: Conversion, reporter: Reporter): Promise<PreparedPrograms> {
  const { options, made, recorded, source, backend, verify, passRuns, tokenizer, processor } = conversion;
  const onPass = (run: PassRun) => void passRuns.push(run);
  const { strict, allowOverflow } = recorded;
  const { model } = source;
  return preparePrograms(
    {
      ...options,
      ...made,
      strict,
      allowOverflow,
      // one decision, which the manifest tells
      ...(recorded.balance && { balance: recorded.balance }),
      model,
      backend,
      verify,
      tokenizer,
      processor,
      inputs: source.inputs,
      bundleBytes: (program) =>
        backend
          .emit(program, { precision: options.precision, ...made })
          .files.reduce((sum, { byteLength }) => sum + byteLength, 0),
      onPass,
    },
    reporter,
  );
}
