import { fastKernels } from '../precision/fast_kernels.ts';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findBackend } from '../../backends/find_backend.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { rangeCollector } from '../../ir/observe/ranges.ts';
import { stageNames } from '../../verify/divergence.ts';
import type { ChosenDevice, DeviceChoice } from '../bundle/choose_device.ts';
import { requireDevice } from '../compile/opening.ts';
import { makeTempFolder, removePath } from '../disk.js';
import { UsageError } from '../errors.ts';
import { openModel } from '../models/open_model.ts';
import { outputError } from '../output_error.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withWait } from '../terminal/waiting.ts';
import { picturesShown } from '../samples/folder_samples.ts';
import { findSamples } from '../samples/samples.ts';
import { TOOL } from '../version.ts';
import { summarizeRanges } from './activation_ranges.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { checkpointProcessor } from '../sidecars/checkpoint_processor.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { planReference } from './choose_reference.ts';
import { givenVariant, measureVariants } from './measure_variants.ts';
import { builtInCases, casesOfFile, type QualityCase } from './quality_cases.ts';
import type { MadeElsewhere, QualityOptions, QualityRun } from './quality_run.ts';
import { recordAll } from './record_cases.ts';
import type { QualityReport } from './report.ts';
import { TensorStore } from './tensor_store.ts';
import type { Variant } from './variant.ts';
import { parameterCount } from './weight_bytes.ts';
import { namingPath } from '../compile/convert_options.ts';

/**
 * Converts a checkpoint to each variant, one after another, and measures how far each is from the f32 model.
 * What cannot be converted or run is told in the report. Nothing stays on the disk but what `keepIn` asks for.
 * @throws BadInputError, UsageError for the checkpoint and the cases, and BackendError for devices that are not here,
 * before anything is computed; ParityError when the fp32 bundle that should be the reference is none
 */
export async function measureQuality(options: QualityOptions, reporter: Reporter): Promise<QualityReport> {
  const { reference: mode = 'huggingface', signal } = options;
  const source = await withWait(reporter, 'open the checkpoint', () => openModel(options));
  const temp = await makeTempFolder(join(tmpdir(), 'pgconv-quality-')).catch(async (error: unknown) => {
    await source.close();
    throw outputError(error, tmpdir(), 'TMPDIR');
  });
  try {
    const { program } = source.model;
    if (program.metadata.retrievalWidth !== undefined)
      throw new UsageError(
        'not_for_answers',
        'this is a ColPali: quality is measured on answers, which it does not give',
        { file: source.checkpoint.path, hint: 'compare its vectors with pgconv verify' },
      );
    for (const warning of source.warnings) reporter.warn(warning);
    const prepared = await preparedFor(
      { config: source.checkpoint.config, sidecars: source.sidecars, tokenizer: source.tokenizer },
      { metadata: program.metadata, reference: mode },
    );
    const tokenizer = checkpointTokenizer(prepared);
    const sets = options.variants.map(({ settings }) => settings.calibrate);
    const shown = await picturesShown(new Set(sets), source.inputs);
    if (shown.size > 0)
      reporter.note('pictures that choose codes judge none, nor do copies: samples that have them are left out');
    const { file, cases } = await findCases(options, {
      metadata: program.metadata,
      tokenizer,
      processor: checkpointProcessor(prepared, mode),
      limit: options.limit,
      shown,
      inputs: source.inputs,
    });
    const decode = (tokens: readonly number[]) =>
      tokenizer ? tokenizer.decode(tokens, { skipSpecialTokens: true }) : tokens.join(' ');
    const given: MadeElsewhere[] = [];
    for (const bundle of options.bundles ?? []) given.push(await givenVariant(bundle, program));
    const kernels = await fastKernels();
    const run: QualityRun = {
      options,
      given,
      devices: await findDevices([...options.variants, ...given.map(({ variant }) => variant)], options, reporter),
      program,
      cases,
      decode,
      store: new TensorStore(join(temp, 'reference-values')),
      stages: stageNames(program),
      reporter,
      temp,
      collector: rangeCollector(),
      kernels,
      // unobserved: ranges are of what answers
      maskDecoder:
        program.metadata.maskSize === undefined
          ? undefined
          : { runner: evaluatorRunner(program, undefined, kernels && { kernels }), metadata: program.metadata },
    };
    const plan = planReference(program, {
      wanted: options.baseline ?? 'auto',
      cases: cases.length,
      checkedCases: options.checkedCases,
      isFast: kernels !== undefined,
    });
    const recorded = await recordAll(run, plan);
    const { results, failures } = await measureVariants(run, recorded);
    const sorted = results.toSorted((a, b) => b.bytes - a.bytes || (a.label < b.label ? -1 : 1));
    signal?.throwIfAborted();
    await source.checkUnchanged();
    const withMasks = cases.filter(({ loadMasks }) => loadMasks).length;
    return {
      tool: TOOL,
      checkpoint: [options.checkpoint].flat(),
      model: program.metadata.variant,
      parameters: parameterCount(program),
      cases: {
        source: file ?? 'built-in',
        count: cases.length,
        withTruth: cases.filter(({ truth }) => truth !== undefined).length,
        ...(withMasks > 0 && { withMasks }),
        positions: recorded.answers.reduce((sum, { positions }) => sum + positions, 0),
      },
      reference: recorded.summary,
      variants: sorted,
      failures,
      ...(recorded.evaluated > 0 && { ranges: summarizeRanges(program, run.collector.ranges, recorded.evaluated) }),
      passed: failures.length === 0 && sorted.every(({ passed }) => passed),
    };
  } finally {
    await source.close();
    await removePath(temp);
  }
}

/** Where the bundles of each backend will run: better known now than after the reference has computed. */
async function findDevices(
  variants: readonly Variant[],
  choice: DeviceChoice,
  reporter: Reporter,
): Promise<ReadonlyMap<string, ChosenDevice>> {
  const devices = new Map<string, ChosenDevice>();
  for (const name of new Set(variants.map(({ backend }) => backend)))
    devices.set(name, await requireDevice(await findBackend(name), choice, reporter));
  return devices;
}

async function findCases(
  options: QualityOptions,
  how: Parameters<typeof casesOfFile>[1],
): Promise<{ file?: string; cases: readonly QualityCase[] }> {
  const named = namingPath(options);
  const file = options.samples ?? (await findSamples(resolve(named)));
  if (file === undefined) return { cases: builtInCases(how) };
  return { file: options.samples ?? join(named, 'eval.json'), cases: await casesOfFile(file, how) };
}
