import { basename, resolve } from 'node:path';
import { BackendError } from '../../backends/error.ts';
import type { Program } from '../../ir/graph.ts';
import { TOLERANCES } from '../../verify/tolerances.ts';
import { checkBundle } from '../bundle/check_bundle.ts';
import { bundleBackend } from '../bundle/open_bundle.ts';
import { readManifest, type Manifest } from '../bundle/manifest.ts';
import { openChosen } from '../compile/opening.ts';
import { makeFolders } from '../disk.js';
import { BadInputError, UsageError } from '../errors.ts';
import { outputError } from '../output_error.ts';
import { PRECISIONS } from '../precision/precision.ts';
import { makeBundle } from './make_bundle.ts';
import { measureBundle } from './measure_bundle.ts';
import {
  conversionSource,
  quiet,
  STAGED_CASES,
  type GivenBundle,
  type MadeElsewhere,
  type QualityRun,
} from './quality_run.ts';
import type { RecordedReference } from './record_cases.ts';
import type { TaskMetrics, VariantFailure, VariantResult } from './report.ts';
import { stageLimit, worstStages } from './stage_noise.ts';
import { judge, targetsOf } from './targets.ts';
import { withBytes } from '../terminal/bytes.ts';
import { matricesChosen } from '../precision/chosen_by_data.ts';
import { helpOf } from '../precision/precision.ts';
import type { Variant } from './variant.ts';
import { folderBytes, parameterCount, weightBytes } from './weight_bytes.ts';

/** Makes and measures one bundle after another. What cannot be converted or run is told, and the next is tried. */
export async function measureVariants(
  run: QualityRun,
  recorded: RecordedReference,
): Promise<{ results: readonly VariantResult[]; failures: readonly VariantFailure[] }> {
  const { options, reporter, temp } = run;
  const place = options.keepIn === undefined ? { dir: temp, keep: false } : { dir: options.keepIn, keep: true };
  if (place.keep)
    await makeFolders(place.dir).catch((error: unknown) => {
      throw outputError(error, place.dir);
    });
  const results: VariantResult[] = [];
  const failures: VariantFailure[] = [];
  const attempt = async (variant: Variant, work: () => Promise<VariantResult>) => {
    options.signal?.throwIfAborted();
    try {
      results.push(await work());
    } catch (error) {
      // what a runtime says of a run that was ended is no fault of the bundle's
      options.signal?.throwIfAborted();
      if (!(error instanceof BadInputError || error instanceof UsageError || error instanceof BackendError))
        throw error;
      reporter.warn(`${variant.label}: ${error.message}`);
      failures.push({ ...variant, code: error.code, message: error.message });
    }
  };
  for (const variant of options.variants)
    await attempt(variant, async () => {
      const { bundle } = recorded;
      const isReference = variant.precision === 'fp32' && variant.backend === bundle?.backend && !place.keep;
      const { dir, remove } = isReference
        ? { dir: bundle.dir, remove: async () => {} }
        : await makeBundle(variant, conversionSource(options), place, quiet(reporter));
      try {
        return await measureFolder(run, recorded, variant, dir);
      } finally {
        await remove();
      }
    });
  for (const { dir, variant } of run.given)
    await attempt(variant, async () => {
      const { check = true, signal } = options;
      if (check)
        await withBytes(reporter, `check ${variant.label}`, (hashing) =>
          checkBundle(dir, { ...hashing, ...(signal && { signal }) }),
        );
      return measureFolder(run, recorded, variant, dir);
    });
  return { results, failures };
}

/**
 * What is measured of a bundle that was made elsewhere.
 * @throws BadInputError for a precision that this version does not know, and for another model's bundle
 */
export async function givenVariant(bundle: GivenBundle, program: Program): Promise<MadeElsewhere> {
  const manifest = await readManifest(bundle.dir);
  await bundleBackend(bundle.dir, manifest);
  return { dir: bundle.dir, variant: madeElsewhere(bundle, manifest, program) };
}

function madeElsewhere(
  { dir, precision: told }: GivenBundle,
  { backend, precision: name, program }: Manifest,
  { metadata }: Program,
): Variant {
  const precision = told ?? PRECISIONS.find((known) => known === name);
  if (!precision)
    throw new BadInputError('unknown_precision', `the bundle is in "${name}"`, {
      file: dir,
      hint: `this version knows ${PRECISIONS.join(', ')}`,
    });
  const differs = (['imageTokens', 'vocabSize', 'layers', 'hiddenSize'] as const).find(
    (field) => program[field] !== metadata[field],
  );
  if (differs)
    throw new BadInputError(
      'other_model',
      `${differs} is ${program[differs]} in the bundle and ${metadata[differs]} in the checkpoint`,
      { file: dir, hint: 'give a bundle of this checkpoint' },
    );
  return { label: basename(resolve(dir)), backend, precision, settings: {} };
}

async function measureFolder(
  run: QualityRun,
  { answers, summary }: RecordedReference,
  variant: Variant,
  dir: string,
): Promise<VariantResult> {
  const { program, cases, reporter, options } = run;
  const model = await openChosen(
    dir,
    await readManifest(dir),
    run.devices.get(variant.backend)!,
    reporter,
    variant.label,
  );
  const progress = reporter.stage(`measure ${variant.label}`, { unit: 'steps', total: cases.length });
  try {
    const { tieMargin } = TOLERANCES[variant.precision](program.metadata);
    const measured = await measureBundle(model, {
      ...run,
      answers,
      stagedCases: STAGED_CASES,
      tieMargin,
      onCase: () => progress.advance(1),
      signal: options.signal,
    });
    const limit = stageLimit(variant.precision, program.metadata).snr;
    const taskDrop = pointsLost(measured.tasks, summary.tasks);
    const maskDrop = overlapLost(measured.tasks, summary.tasks);
    const help = helpOf(model.manifest.options.mixed, matricesChosen(model.manifest));
    const verdicts = judge(targetsOf(variant.precision, program.metadata, help), {
      ...measured,
      greedyDifferent: measured.greedy.different,
      ...(taskDrop !== undefined && { taskDrop }),
      ...(maskDrop !== undefined && { maskDrop }),
    });
    const backend = await bundleBackend(dir, model.manifest);
    const weights = weightBytes(program, await backend.storedTensors({ dir, files: model.manifest.files }));
    progress.done();
    return {
      ...variant,
      ...measured,
      runtime: model.runner.description,
      ...(model.runner.device && { device: model.runner.device }),
      help,
      bytes: await folderBytes(dir),
      weightBytes: weights,
      bitsPerWeight: (8 * weights) / parameterCount(program),
      ...(taskDrop !== undefined && { taskDrop }),
      stageLimit: limit,
      ...worstStages(measured.stages, limit),
      verdicts,
      passed: verdicts.every(({ passed }) => passed) && measured.nonFinite === 0,
    };
  } finally {
    await model.dispose();
  }
}

/** From counts, so that a loss of exactly what a target allows is no more than that. */
function pointsLost({ right, judged }: TaskMetrics, reference: TaskMetrics): number | undefined {
  return right === undefined || judged === undefined || reference.right === undefined
    ? undefined
    : (100 * (reference.right - right)) / judged;
}

function overlapLost({ maskIouTruth }: TaskMetrics, reference: TaskMetrics): number | undefined {
  return maskIouTruth === undefined || reference.maskIouTruth === undefined
    ? undefined
    : reference.maskIouTruth - maskIouTruth;
}
