import { isDeepStrictEqual } from 'node:util';
import type { PassRun } from '../../ir/passes/index.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { bundleBackend, bundleProcessor, bundleTokenizer } from '../bundle/open_bundle.ts';
import type { Manifest } from '../bundle/manifest.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { UsageError } from '../errors.ts';
import type { Model } from '../models/family.ts';
import { asksData, matricesChosen } from '../precision/chosen_by_data.ts';
import { isQuantized, roundsToF16 } from '../precision/precision.ts';
import type { Reporter } from '../terminal/reporter.ts';
import type { PassTrace } from './bisect_failure.ts';
import { preparePrograms, type Algorithm } from './prepare_programs.ts';

/**
 * Every pass over a model that made a bundle, from what its manifest records. Where it was calibrated, so is it here.
 * Nothing is written; codes are made again when they are read.
 * @throws UsageError `codes_unknown` when the bundle's codes cannot be made again; what preparePrograms throws
 */
export async function remadePasses(
  {
    model,
    manifest,
    dir,
    inputs,
  }: { readonly model: Model; readonly manifest: Manifest; readonly dir: string; readonly inputs: Inputs },
  signal: AbortSignal | undefined,
  reporter: Reporter,
): Promise<PassTrace> {
  const runs: PassRun[] = [];
  const onPass = (run: PassRun) => void runs.push(run);
  const backend = await bundleBackend(dir, manifest);
  const { target, quantizedOps, accuracyLevel, layersPerGraph, calibrate, ...options } = manifest.options;
  const precision = manifest.precision as Precision;
  const isUnknown = isQuantized(precision) && (matricesChosen(manifest) === 'unknown' || !manifest.storage);
  if (isUnknown)
    throw new UsageError(
      'codes_unknown',
      'the manifest does not say how the codes were chosen, of which none is sure',
      {
        file: dir,
        hint: 'convert again: this version records it',
      },
    );
  const programs = await preparePrograms(
    {
      model,
      precision,
      backend,
      mixed: options.mixed,
      ...(isQuantized(precision) && options.algorithm && { algorithm: options.algorithm as Algorithm }),
      ...(isQuantized(precision) && { balance: options.balance ?? 'none' }),
      perChannel: options.perChannel,
      storage: manifest.storage,
      // what was shown for bits alone chose no codes, and the bits are recorded
      ...((asksData({ ...options, calibrate }) || roundsToF16(precision)) && calibrate !== '' && { calibrate }),
      ...(target !== undefined && { target }),
      tokenizer: () => bundleTokenizer(dir, manifest),
      processor: () => bundleProcessor(dir, manifest),
      inputs,
      verify: true,
      strict: options.strict,
      allowOverflow: options.allowOverflow,
      onPass,
      ...(signal && { signal }),
    },
    reporter,
  );
  if (!isDeepStrictEqual(programs.chosenByData, manifest.chosenByData)) {
    await programs.dispose();
    throw new UsageError('codes_unknown', 'data chooses other codes than those of the bundle', {
      file: calibrate,
      hint: 'put the pictures and prompts back as they were when the bundle was made, or convert again',
    });
  }
  backend.emit(
    programs.bundle,
    {
      precision,
      ...(target !== undefined && { target }),
      ...(quantizedOps && { quantizedOps }),
      ...(accuracyLevel !== undefined && { accuracyLevel }),
      ...(layersPerGraph !== undefined && { layersPerGraph }),
    },
    onPass,
  );
  return { runs, dispose: () => programs.dispose() };
}
