import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readRegularText } from '../../backends/regular_file.js';
import type { TensorData } from '../../ir/tensor.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import type { StageNames } from '../../verify/divergence.ts';
import { readRecorded } from '../../verify/recorded.ts';
import type { Recorded } from '../../verify/recording.ts';
import type { Outcome } from '../../verify/run_case.ts';
import { hashFiles } from '../bundle/hash_files.ts';
import { locateCheckpoint } from '../checkpoints/locate.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { inputsOr, type Inputs } from '../inputs/inputs.ts';
import { BLOCK_BYTES } from '../inputs/read_sums.ts';
import { checkSource, type MadeOf } from './check_source.ts';
import { readDescription, type RecordingDescription } from './description.ts';
import { readRecordedCase, type RecordedSizes } from './recorded_cases.ts';

/** What another implementation computed, ready to be compared with. */
export interface OpenRecording {
  readonly path: string;
  readonly reference: Recorded;
  readonly cases: readonly VerifyCase[];
  readonly stages: StageNames;
  /** What was run; goldens of the fixtures do not say. */
  readonly description?: RecordingDescription;
}

/**
 * Opens a recording of the original: the form of docs/recording.md, or the goldens of the fixtures (docs/goldens.md)
 * with stages.safetensors beside them. Undefined when the path is no safetensors file with a recording's tensors.
 * @param metadata sizes of the model that it must fit, as far as they are known
 * @param options.inputs which its files are among; default inputs of its own
 * @param options.made of what the bundle is made, where that is known: a recording of another checkpoint is refused
 * @throws BadInputError for a recording that is damaged, or of another arithmetic than f32; VerifyError for goldens;
 * UsageError for the JSON that describes one
 */
export async function openRecording(
  path: string,
  metadata: RecordedSizes,
  { inputs: given, made }: { readonly inputs?: Inputs; readonly made?: MadeOf } = {},
): Promise<OpenRecording | undefined> {
  if (/\.json$/i.test(path)) await refuseDescription(path);
  if (!(await isFile(path))) return refuseMissing(path);
  const { inputs, close } = inputsOr(given);
  try {
    const isDescribed = await describes(descriptionOf(path));
    if (!isDescribed && (await locateCheckpoint(path, inputs)).kind === 'npz') return undefined;
    const { tensors } = await openSafetensors(path, { inputs }).catch((error: unknown) => {
      throw isDescribed ? asRecording(error, path) : error;
    });
    if (isDescribed || tensors.has('0/input_ids')) {
      const description = await readDescription(path, inputs);
      // of another checkpoint nothing else would fit either
      if (made) checkSource({ path, description }, made);
      return await readDescribed({ path, tensors, description }, metadata, inputs);
    }
    if (!tensors.has('pixel_values') || !tensors.has('input_ids')) return undefined;
    return await readGoldens(path, tensors, inputs);
  } finally {
    await close();
  }
}

/** Larger than any that the script writes. */
const MAX_DESCRIPTION_BYTES = 64 * 1024 * 1024;

/** A recording is two files of one name, and its tensors are what is asked for. */
async function refuseDescription(path: string): Promise<void> {
  if (!(await describes(path))) return;
  const tensors = path.replace(/\.json$/i, '.safetensors');
  throw new UsageError('not_a_recording', 'this says how a recording was made; what was recorded lies beside it', {
    file: path,
    hint: (await isFile(tensors)) ? `give ${tensors}` : `${AGAIN}: ${basename(tensors)} is not beside it`,
  });
}

/** What is no file may be the name of a recording without its ending, or one of whose two files one is not there. */
async function refuseMissing(path: string): Promise<undefined> {
  const whole = `${path}.safetensors`;
  if (await describes(`${path}.json`))
    throw new UsageError('not_a_recording', 'this is a recording’s name without its ending', {
      file: path,
      hint: (await isFile(whole)) ? `give ${whole}` : `${AGAIN}: ${basename(whole)} is not there`,
    });
  if (path.endsWith('.safetensors') && (await describes(descriptionOf(path))))
    throw new UsageError('not_a_recording', 'the tensors of the recording are not there', { file: path, hint: AGAIN });
  return undefined;
}

/** Whether a JSON file is that of a recording. */
async function describes(path: string): Promise<boolean> {
  const text = await readRegularText(path, MAX_DESCRIPTION_BYTES).catch(() => '');
  return text.includes('"pgconv-recording"');
}

function descriptionOf(path: string): string {
  return path.replace(/\.[^./\\]*$/, '.json');
}

/** What a reader says of a checkpoint, said of a recording: other ways lead out of it. */
function asRecording(error: unknown, path: string): unknown {
  if (!(error instanceof BadInputError)) return error;
  const code = error.code === 'file_truncated' ? 'recording_damaged' : 'recording_invalid';
  return new BadInputError(code, error.message, { ...error.place, file: path, hint: AGAIN }, { cause: error });
}

const AGAIN = 'copy the recording again, its .safetensors and its .json, and give the .safetensors';

async function readDescribed(
  {
    path,
    tensors,
    description,
  }: {
    readonly path: string;
    readonly tensors: ReadonlyMap<string, TensorData>;
    readonly description: RecordingDescription;
  },
  metadata: RecordedSizes,
  inputs: Inputs,
): Promise<OpenRecording> {
  const { tensors: stated, engine, versions, image_token_id: imageTokenId } = description;
  const damaged = (message: string) =>
    new BadInputError('recording_damaged', message, {
      file: path,
      hint: 'copy the recording again: its .safetensors and its .json are of one run',
    });
  const { size } = await stat(path);
  if (size !== stated.bytes) throw damaged(`it has ${size} bytes, and ${stated.bytes} were recorded`);
  checkDescribed(path, tensors, description);
  const { sha256, blocks } = (await hashFiles([path], { sumBytes: BLOCK_BYTES })).get(path)!;
  await inputs.hashed(path, blocks);
  if (sha256 !== stated.sha256) throw damaged('its sha256 is not that of what was recorded');
  const cases: VerifyCase[] = [];
  const outcomes = new Map<string, Outcome>();
  for (const [number, described] of description.cases.entries()) {
    const source = { tensors, file: path, imageTokenId, metadata };
    const { verifyCase, outcome } = await readRecordedCase(source, number, described);
    cases.push(verifyCase);
    outcomes.set(verifyCase.name, outcome);
  }
  const of = { engine, version: versions[engine] ?? '', checkpoint: description.checkpoint.path };
  const names = [...tensors.keys()].flatMap((name) => /^0\/stages\/(.+)$/.exec(name)?.[1] ?? []);
  return { path, reference: { description: path, outcomes, of }, cases, stages: inGraphs(names), description };
}

/** Tensors of a case, beside `stages/…`. */
const PARTS = [
  'pixel_values',
  'input_ids',
  'token_type_ids',
  'image_features',
  'logits',
  'greedy_ids',
  'greedy_logits',
];

/**
 * What is in one of a recording's two files is in the other: what nobody describes would be compared with nothing.
 * @throws BadInputError `recording_invalid`
 */
function checkDescribed(
  file: string,
  tensors: ReadonlyMap<string, TensorData>,
  { cases, stages }: RecordingDescription,
): void {
  const invalid = (tensor: string, message: string) =>
    new BadInputError('recording_invalid', message, {
      file,
      tensor,
      hint: 'record again; docs/recording.md has every tensor',
    });
  if (stages)
    for (const number of cases.keys())
      if (![...tensors.keys()].some((name) => name.startsWith(`${number}/stages/`)))
        throw invalid(`${number}/stages`, 'the description says that there are stages, and there are none');
  for (const name of tensors.keys()) {
    const [, number = '', part = ''] = /^(0|[1-9]\d{0,8})\/(.+)$/s.exec(name) ?? [];
    const described = number === '' ? undefined : cases[Number(number)];
    if (!described) throw invalid(name, 'it is of no case that the description has');
    const isStage = part.startsWith('stages/');
    if (!isStage && !PARTS.includes(part)) throw invalid(name, 'a recording has no such tensor');
    if (isStage && !stages) throw invalid(name, 'the description says that there are no stages');
    if (part.startsWith('greedy_') && described.greedy_ids.length === 0)
      throw invalid(name, 'the description has no greedy tokens of this case');
  }
}

async function readGoldens(
  path: string,
  golden: ReadonlyMap<string, TensorData>,
  inputs: Inputs,
): Promise<OpenRecording> {
  const stagesPath = join(dirname(path), 'stages.safetensors');
  const stages = (await isFile(stagesPath)) ? await openSafetensors(stagesPath, { inputs }) : undefined;
  const { cases, reference } = await readRecorded(golden, stages?.tensors, path);
  return { path, reference, cases, stages: inGraphs([...(stages?.tensors.keys() ?? [])]) };
}

function inGraphs(names: readonly string[]): StageNames {
  return {
    vision_encoder: inOrder(names.filter((name) => !name.startsWith('lm.'))),
    decoder: inOrder(names.filter((name) => name.startsWith('lm.'))),
  };
}

/** Numbered stages by number, and the others behind them: vit.0, vit.1, …, vit.post_layernorm, image_features. */
function inOrder(names: readonly string[]): string[] {
  const rank = (name: string) => {
    const number = Number(/\.(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    return Number.isNaN(number) ? (name.includes('.') ? 1e6 : 1e6 + 1) : number;
  };
  return [...names].sort((a, b) => rank(a) - rank(b));
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
