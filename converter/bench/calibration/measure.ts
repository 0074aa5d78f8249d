import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBackend } from '../../../backends/find_backend.ts';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import type { Prompt } from '../../../verify/prompt.ts';
import { compareRows } from '../../../verify/metrics.ts';
import { rowsOf } from '../../../verify/rows.ts';
import { TOLERANCES, type Precision } from '../../../verify/tolerances.ts';
import { readManifest } from '../../bundle/manifest.ts';
import { openChosen, requireDevice } from '../../compile/opening.ts';
import { makeTempFolder, removePath } from '../../disk.js';
import { UsageError } from '../../errors.ts';
import { openModel } from '../../models/open_model.ts';
import { fastKernels } from '../../precision/fast_kernels.ts';
import { QUANTIZED } from '../../precision/precision.ts';
import { makeBundle, type ConversionSource } from '../../quality/make_bundle.ts';
import { casesOfFile } from '../../quality/quality_cases.ts';
import { logitsKey, recordReference } from '../../quality/record_reference.ts';
import { runTeacherForced } from '../../../verify/teacher_forced.ts';
import { TensorStore } from '../../quality/tensor_store.ts';
import type { Variant } from '../../quality/variant.ts';
import { folderBytes } from '../../quality/weight_bytes.ts';
import { picturesShown } from '../../samples/folder_samples.ts';
import { checkpointProcessor } from '../../sidecars/checkpoint_processor.ts';
import { checkpointTokenizer } from '../../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../../sidecars/prepared_files.ts';
import { silentReporter } from '../../terminal/reporter.ts';
import { choosingFolder } from './choosing_folder.ts';
import { evenly } from './evenly.ts';
import { lineOf } from './report.ts';
import { makeModel, type FurtherModel } from './further_models.ts';
import { isBeyondError, meanOverCases, pairedDifference, type CaseSum, type Mean } from './paired.ts';

/** Cases that judge: a thousand positions and more where answers are long, and few enough for a run of minutes. */
const JUDGES = 40;

export interface BundleKind {
  readonly backend: string;
  readonly precision: Precision;
}

/** Of `onnx:int4` and the like; default what runs on every machine. @throws UsageError for what is no precision */
export function kindsNamed(names: readonly string[] = ['onnx:int4', 'onnx:int8']): readonly BundleKind[] {
  return names.map((name) => {
    const [backend, text] = name.split(':') as [string, string?];
    const precision = QUANTIZED.find((known) => known === text);
    if (!precision)
      throw new UsageError('bad_dtype', `"${name}" names no codes`, {
        hint: `write <backend>:<${QUANTIZED.join('|')}>`,
      });
    return { backend, precision };
  });
}

/** One model in one precision, with codes that data chose and with codes that none did. */
export interface CalibrationMeasurement extends BundleKind {
  readonly model: string;
  readonly cases: number;
  readonly positions: number;
  /** Own answers of the f32 model that are the parent's, token by token. */
  readonly asParent: number;
  readonly bytes: { readonly plain: number; readonly calibrated: number };
  /** KL divergence from the f32 model, in nats. */
  readonly plain: Mean;
  readonly calibrated: Mean;
  /** Calibrated less plain, case by case. */
  readonly difference: Mean;
  /** Whether it is worse by more than its error. */
  readonly isWorse: boolean;
}

/** A model with pictures that may choose codes, and with what it says of others. */
interface Original {
  readonly source: ConversionSource;
  /** For `--calibrate`. */
  readonly photos: string;
  readonly judges: readonly Judge[];
  /** Logits of the f32 model. */
  readonly store: TensorStore;
}

interface Judge {
  readonly prompt: Prompt;
  /** The f32 model's own. */
  readonly tokens: readonly number[];
  readonly isParents: boolean;
}

/** Every model in every kind of bundle. What is made for it is removed. */
export async function measureCalibration(
  models: readonly FurtherModel[],
  kinds: readonly BundleKind[],
  log: (line: string) => void,
): Promise<readonly CalibrationMeasurement[]> {
  const measured: CalibrationMeasurement[] = [];
  for (const model of models) {
    const temp = await makeTempFolder(join(tmpdir(), 'pgconv-calibration-'));
    try {
      const original = await recordOriginal(model, temp);
      for (const kind of kinds) {
        measured.push(await measureKind(model.name, original, kind, temp));
        log(lineOf(measured.at(-1)!));
      }
    } finally {
      await removePath(temp);
    }
  }
  return measured;
}

async function recordOriginal(model: FurtherModel, temp: string): Promise<Original> {
  const source: ConversionSource = {
    checkpoint: await makeModel(model, join(temp, 'model')),
    ...(model.adapters && { adapters: model.adapters }),
  };
  const opened = await openModel(source);
  try {
    const { checkpoint, inputs, model: made, sidecars } = opened;
    const photos = await choosingFolder(model.samples, inputs, join(temp, 'photos'));
    const { metadata } = made.program;
    const prepared = await preparedFor({ config: checkpoint.config, sidecars }, { metadata });
    const tokenizer = checkpointTokenizer(prepared);
    const processor = checkpointProcessor(prepared, 'huggingface');
    const shown = await picturesShown([photos], inputs);
    const others = await casesOfFile(model.samples, { metadata, tokenizer, processor, inputs, shown });
    const kernels = await fastKernels();
    const evaluator = { runner: evaluatorRunner(made.program, undefined, kernels && { kernels }), metadata };
    const store = new TensorStore(join(temp, 'reference-values'));
    const how = { store, decode: String, tieMargin: TOLERANCES.fp32(metadata).tieMargin };
    const judges: Judge[] = [];
    for (const [i, { name, prompt: text, load, recorded }] of evenly(others, JUDGES).entries()) {
      const prompt = await load();
      // without the recorded answer: it is the parent's
      const { tokens } = await recordReference(evaluator, i, { name, prompt: text, load: async () => prompt }, how);
      judges.push({ prompt, tokens, isParents: tokens.join() === recorded?.tokens?.join() });
    }
    return { source, photos, judges, store };
  } finally {
    await opened.close();
  }
}

async function measureKind(
  model: string,
  original: Original,
  { backend, precision }: BundleKind,
  temp: string,
): Promise<CalibrationMeasurement> {
  const variant = (label: string, settings: Variant['settings']) => ({ label, backend, precision, settings });
  const plain = await divergences(variant('plain', {}), original, temp);
  const calibrated = await divergences(variant('calibrated', { calibrate: original.photos }), original, temp);
  const difference = pairedDifference(plain.cases, calibrated.cases);
  return {
    model,
    backend,
    precision,
    cases: plain.cases.length,
    positions: plain.cases.reduce((sum, { positions }) => sum + positions, 0),
    asParent: original.judges.filter(({ isParents }) => isParents).length,
    bytes: { plain: plain.bytes, calibrated: calibrated.bytes },
    plain: meanOverCases(plain.cases),
    calibrated: meanOverCases(calibrated.cases),
    difference,
    isWorse: isBeyondError(difference),
  };
}

/** Makes a bundle, and reads the original's answers with it. */
async function divergences(
  variant: Variant,
  { source, judges, store }: Original,
  temp: string,
): Promise<{ readonly bytes: number; readonly cases: readonly CaseSum[] }> {
  const backend = await findBackend(variant.backend);
  const { dir, remove } = await makeBundle(variant, source, { dir: temp, keep: false }, silentReporter);
  const device = await requireDevice(backend, {}, silentReporter);
  const bundle = await openChosen(dir, await readManifest(dir), device, silentReporter);
  try {
    const { tieMargin } = TOLERANCES[variant.precision](bundle.metadata);
    const columns = bundle.metadata.vocabSize;
    const cases: CaseSum[] = [];
    for (const [i, { prompt, tokens }] of judges.entries()) {
      const { logits } = await runTeacherForced(bundle, prompt, tokens);
      const expected = rowsOf(await store.get(logitsKey(i)), { columns });
      const rows = compareRows(rowsOf(logits, { columns }), expected, tieMargin).divergences;
      cases.push({ sum: rows.reduce((sum, kld) => sum + kld, 0), positions: rows.length });
    }
    return { bytes: await folderBytes(dir), cases };
  } finally {
    await bundle.dispose();
    await remove();
  }
}
