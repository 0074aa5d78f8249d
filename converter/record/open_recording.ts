import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readRegularText } from '../../backends/regular_file.js';
import type { ProgramMetadata } from '../../ir/graph.ts';
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
import { readDescription, type RecordingDescription } from './description.ts';
import { readRecordedCase } from './recorded_cases.ts';

/** What another implementation computed, ready to be compared with. */
export interface OpenRecording {
  readonly path: string;
  readonly reference: Recorded;
  readonly cases: readonly VerifyCase[];
  readonly stages: StageNames;
  /** What was run; goldens of the fixtures do not say. */
  readonly description?: RecordingDescription;
}

/** What a recording is held to before it is compared with: ids, which mean something in one vocabulary only. */
type Ids = Pick<ProgramMetadata, 'vocabSize' | 'imageTokenId'>;

/**
 * Opens a recording of the original: the form of docs/recording.md, or the goldens of the fixtures (docs/goldens.md)
 * with stages.safetensors beside them. Undefined when the path is no safetensors file with a recording's tensors.
 * @param given which its files are among; default inputs of its own
 * @throws BadInputError for a recording that is damaged, or of another arithmetic than f32; VerifyError for goldens;
 * UsageError for the JSON that describes one
 */
export async function openRecording(path: string, metadata: Ids, given?: Inputs): Promise<OpenRecording | undefined> {
  if (/\.json$/i.test(path)) await refuseDescription(path);
  if (!(await isFile(path))) return undefined;
  const { inputs, close } = inputsOr(given);
  try {
    if ((await locateCheckpoint(path, inputs)).kind === 'npz') return undefined;
    const { tensors } = await openSafetensors(path, { inputs });
    if (tensors.has('0/input_ids')) return await readDescribed(path, tensors, metadata, inputs);
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
  const text = await readRegularText(path, MAX_DESCRIPTION_BYTES).catch(() => '');
  if (!text.includes('"pgconv-recording"')) return;
  const tensors = path.replace(/\.json$/i, '.safetensors');
  throw new UsageError('not_a_recording', 'this says how a recording was made; what was recorded lies beside it', {
    file: path,
    hint: (await isFile(tensors)) ? `give ${tensors}` : `${AGAIN}: ${basename(tensors)} is not beside it`,
  });
}

const AGAIN = 'copy the recording again, its .safetensors and its .json, and give the .safetensors';

async function readDescribed(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Ids,
  inputs: Inputs,
): Promise<OpenRecording> {
  const description = await readDescription(path, inputs);
  const { bytes, sha256, blocks } = (await hashFiles([path], { sumBytes: BLOCK_BYTES })).get(path)!;
  await inputs.hashed(path, blocks);
  const { tensors: stated, engine, versions, image_token_id: imageTokenId } = description;
  if (bytes !== stated.bytes || sha256 !== stated.sha256)
    throw new BadInputError(
      'recording_damaged',
      `it has ${bytes} bytes and another sha256 than the ${stated.bytes} bytes that were recorded`,
      { file: path, hint: 'copy the recording again: its .safetensors and its .json are of one run' },
    );
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
