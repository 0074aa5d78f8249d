import { createHash } from 'node:crypto';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { elementCount, readBytes, readTensor, tensorOf, type Tensor, type TensorData } from '../../ir/tensor.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import { withoutImage } from '../../verify/image_column.ts';
import { choose } from '../../verify/metrics.ts';
import { rowsOf, slicePositions } from '../../verify/rows.ts';
import type { CaseStages, Greedy, Outcome } from '../../verify/run_case.ts';
import { BadInputError } from '../errors.ts';
import type { RecordingDescription } from './description.ts';

type Described = RecordingDescription['cases'][number];

/** Tensors of a recording, with what messages name. */
interface Source {
  readonly tensors: ReadonlyMap<string, TensorData>;
  readonly file: string;
  readonly imageTokenId: number;
  readonly metadata: RecordedSizes;
}

/** What a recording must fit: ids mean something in one vocabulary only, and tensors have the sizes of one model. */
export type RecordedSizes = Pick<ProgramMetadata, 'vocabSize' | 'imageTokenId'> &
  Partial<Pick<ProgramMetadata, 'imageSize' | 'imageTokens' | 'hiddenSize' | 'layers'>>;

/** A stage that is wider is of no model: what declares one is not read. */
const MAX_STAGE_WIDTH = 65_536;

export interface RecordedCase {
  readonly verifyCase: VerifyCase;
  readonly outcome: Outcome;
}

const AGAIN = 'record again; docs/recording.md has every tensor and its shape';

/**
 * One case of a recording: tensors `number/…` and what its description says of them. Logits of the prompt come from a
 * prefill, those of the answer from a causal continuation, so they are split where the answer begins.
 * @throws BadInputError `recording_invalid`, `recording_damaged`, `recording_not_finite`, `recording_tokens`
 */
export async function readRecordedCase(source: Source, number: number, described: Described): Promise<RecordedCase> {
  const { imageTokenId, metadata } = source;
  const { imageSize, imageTokens, hiddenSize } = metadata;
  const { input_ids: ids, token_type_ids: types } = described;
  checkIds(source, `${number}/input_ids`, ids);
  checkIds(source, `${number}/greedy_ids`, described.greedy_ids);
  const images = ids.findIndex((id) => id !== imageTokenId);
  const prompt = types.includes(1) ? types.indexOf(1) : types.length;
  if (types.length !== ids.length || images < 1 || prompt <= images || types.includes(0, prompt))
    throw invalid(
      source,
      `${number}/token_type_ids`,
      `of ${ids.length} tokens ${images} are a picture’s and ${prompt} the prompt’s: a prompt has both, and then text`,
    );
  await checkSameIds(source, `${number}/input_ids`, ids);
  await checkSameIds(source, `${number}/token_type_ids`, types);
  const text = ids.length - images;
  const read = (name: string, shape: readonly (number | undefined)[]) => readFloats(source, `${number}/${name}`, shape);
  const pixelValues = await read('pixel_values', [undefined, 3, imageSize, imageSize]);
  await checkPixels(source, number, described);
  const imageFeatures = await read('image_features', [pixelValues.shape[0], imageTokens, hiddenSize]);
  const features = imageFeatures.shape[0]! * imageFeatures.shape[1]!;
  if (features !== images)
    throw invalid(source, `${number}/image_features`, `${features} rows for ${images} tokens of pictures`);
  const logits = await read('logits', [1, text, undefined]);
  checkColumns(source, `${number}/logits`, logits);
  const greedy = await readGreedy(source, number, described, logits.shape[2]!);
  const row = (from: number, to: number) => tensorOf('i64', [1, to - from], ids.slice(from, to));
  const kept = prompt - images;
  const stages = await readStages(source, number, { prompt, length: ids.length, patches: imageFeatures.shape[1]! });
  return {
    verifyCase: {
      name: `${number + 1}: ${described.name}`,
      pixelValues,
      inputIds: row(0, prompt),
      attentionMask: tensorOf('i64', [1, prompt], Array<number>(prompt).fill(1)),
      imageTokenId,
      ...(prompt < ids.length && { suffixIds: row(prompt, ids.length) }),
      maxNewTokens: greedy?.logits.shape[1] ?? 0,
      logitsToKeep: kept,
      // what must hold of a bundle by itself is asked of one
      ...(number > 0 && { comparedOnly: true }),
    },
    outcome: {
      imageFeatures,
      prefillLogits: slicePositions(logits, 0, kept),
      ...(prompt < ids.length && { suffixLogits: slicePositions(logits, kept, text) }),
      ...(greedy && { greedy }),
      ...(stages && { stages }),
    },
  };
}

/** @throws BadInputError for an id that the bundle has no row for */
function checkIds({ file, imageTokenId, metadata }: Source, tensor: string, ids: readonly number[]): void {
  const images = [imageTokenId, metadata.imageTokenId];
  const beyond = ids.find((id) => id >= metadata.vocabSize && !images.includes(id));
  if (beyond !== undefined)
    throw new BadInputError('recording_tokens', `token ${beyond} is none of the bundle’s ${metadata.vocabSize}`, {
      file,
      tensor,
      hint: 'record with the tokenizer that the bundle has: tokens were added or cut since',
    });
}

/** @throws BadInputError for logits of fewer tokens than the bundle has: they say nothing of the others */
function checkColumns(source: Source, tensor: string, logits: Tensor): void {
  const columns = logits.shape.at(-1)!;
  const { vocabSize } = source.metadata;
  if (Number.isFinite(vocabSize) && columns < vocabSize)
    throw invalid(source, tensor, `logits of ${columns} tokens, where the bundle has ${vocabSize}`);
}

function invalid({ file }: Source, tensor: string, message: string): BadInputError {
  return new BadInputError('recording_invalid', message, { file, tensor, hint: AGAIN });
}

function tensorNamed(source: Source, name: string): TensorData {
  const data = source.tensors.get(name);
  if (!data) throw invalid(source, name, 'the recording has no such tensor');
  return data;
}

/** @throws BadInputError for another dtype or shape (`undefined`: any), for NaN and Infinity */
async function readFloats(source: Source, name: string, shape: readonly (number | undefined)[]): Promise<Tensor> {
  const data = tensorNamed(source, name);
  const fits = data.shape.length === shape.length && shape.every((d, i) => d === undefined || d === data.shape[i]);
  if (data.dtype !== 'f32' || !fits || elementCount(data.shape) === 0)
    throw invalid(
      source,
      name,
      `it is ${data.dtype}[${data.shape.join(', ')}], not f32[${shape.map((d) => d ?? 'any').join(', ')}]`,
    );
  const tensor = await readTensor(data);
  const at = tensor.data.findIndex((value) => !Number.isFinite(value));
  if (at !== -1)
    throw new BadInputError('recording_not_finite', `element ${at} is ${tensor.data[at]!}`, {
      file: source.file,
      tensor: name,
      hint: 'record again: what computed this overflowed, and proves nothing',
    });
  return tensor;
}

/** @throws BadInputError when tensor and description are not of one run */
async function checkSameIds(source: Source, name: string, ids: readonly number[]): Promise<void> {
  const data = tensorNamed(source, name);
  const tensor = data.dtype === 'i64' ? await readTensor(data) : undefined;
  if (tensor?.shape.join() !== `1,${ids.length}` || ids.some((id, i) => tensor.data[i] !== id))
    throw invalid(source, name, 'it is not i64[1, tokens] with the ids that the description has');
}

async function checkPixels(source: Source, number: number, { pixels_sha256: stated }: Described): Promise<void> {
  const name = `${number}/pixel_values`;
  const hash = createHash('sha256').update(await readBytes(tensorNamed(source, name)));
  if (hash.digest('hex') !== stated)
    throw new BadInputError('recording_damaged', 'the pixels are not those that the description has: sha256 differs', {
      file: source.file,
      tensor: name,
      hint: AGAIN,
    });
}

/** The tokens are the original's own; which it chose is asked of its logits, among those that are tokens. */
async function readGreedy(
  source: Source,
  number: number,
  { greedy_ids: ids }: Described,
  columns: number,
): Promise<Greedy | undefined> {
  if (ids.length === 0) return undefined;
  await checkSameIds(source, `${number}/greedy_ids`, ids);
  const logits = await readFloats(source, `${number}/greedy_logits`, [1, ids.length, columns]);
  const chosen = withoutImage(logits, { vocabSize: logits.shape[2]!, imageTokenId: source.imageTokenId });
  const choices = ids.map((_, step) => choose(rowsOf(chosen), step));
  const other = choices.findIndex(({ token }, step) => token !== ids[step]);
  if (other !== -1)
    throw invalid(
      source,
      `${number}/greedy_ids`,
      `token ${ids[other]!} of step ${other} is not what its logits choose, ${choices[other]!.token}`,
    );
  return { tokens: [ids], logits, choices: [choices] };
}

/** Stages `lm.*` are the decoder’s: they are cut where the answer begins. */
async function readStages(
  source: Source,
  number: number,
  { prompt, length, patches }: { readonly prompt: number; readonly length: number; readonly patches: number },
): Promise<CaseStages | undefined> {
  const prefix = `${number}/stages/`;
  const names = [...source.tensors.keys()].filter((name) => name.startsWith(prefix));
  if (names.length === 0) return undefined;
  const stages = await Promise.all(
    names.map(async (name) => {
      const stage = name.slice(prefix.length);
      checkStage(source, name, stage);
      const { hiddenSize } = source.metadata;
      const shape = stage.startsWith('lm.')
        ? [1, length, hiddenSize]
        : [undefined, patches, stage === 'image_features' ? hiddenSize : undefined];
      return [stage, await readFloats(source, name, shape)] as const;
    }),
  );
  const decoder = stages.filter(([name]) => name.startsWith('lm.'));
  const part = (from: number, to: number) =>
    Object.fromEntries(decoder.map(([name, value]) => [name, slicePositions(value, from, to)]));
  return {
    vision: Object.fromEntries(stages.filter(([name]) => !name.startsWith('lm.'))),
    prefill: part(0, prompt),
    suffix: prompt === length ? {} : part(prompt, length),
  };
}

/** @throws BadInputError for a stage that the model has not, and for one of a size that no model has */
function checkStage(source: Source, tensor: string, stage: string): void {
  const { layers = Infinity } = source.metadata;
  const known = /^(?:vit\.(?:\d+|post_layernorm)|image_features|lm\.(\d+))$/.exec(stage);
  if (!known || Number(known[1] ?? 0) > layers) throw invalid(source, tensor, `the model has no stage "${stage}"`);
  const width = source.tensors.get(tensor)!.shape.at(-1) ?? 0;
  if (width > MAX_STAGE_WIDTH) throw invalid(source, tensor, `it is ${width} wide, which no model is`);
}
