import { expect } from 'vitest';
import type { PictureModel } from '../../backends/client/generation/picture_model.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import { caseMember, type VerifyCase } from '../../verify/cases.ts';
import type { Model } from '../../verify/decode.ts';
import { withoutImage } from '../../verify/image_column.ts';
import { difference } from '../../verify/metrics.ts';
import { padLeft } from '../../verify/prompt.ts';
import { batchMember, lastPositions, rowsOf, slicePositions } from '../../verify/rows.ts';
import { runCase } from '../../verify/run_case.ts';
import { FRAMES_LIMIT, readFrames } from './frames.ts';
import { readRecording } from './recording.ts';

/* A left-padded batch whose rows have different numbers of pictures, and each of its rows alone. */

/** A prompt of one row, and what the originals say of it. */
interface Row {
  readonly alone: VerifyCase;
  /** Nobody recorded a prompt without a picture. */
  readonly recorded?: Said;
}

/** Of one row. */
interface Said {
  /** f32[1, positions, V]: of the last tokens of the prompt. */
  readonly logits: Tensor;
  /** f32[1, steps, V]: of the greedy tokens, which drivers do not give. */
  readonly steps?: Tensor;
  readonly tokens: readonly number[];
}

const NEW_TOKENS = 8;

/** Of 2, 0, 3 and 1 pictures. */
async function mixedRows(fixture: string, metadata: ProgramMetadata): Promise<readonly Row[]> {
  const frames = await readFrames(fixture, [2, 3]);
  const [two, three] = frames.cases.filter(({ maxNewTokens }) => maxNewTokens > 0);
  const { cases, reference } = await readRecording(`fixtures/${fixture}`);
  const recordedRow = (verifyCase: VerifyCase, { outcomes }: typeof reference): Row => {
    const { prefillLogits, greedy } = outcomes.get(verifyCase.name)!;
    const { suffixIds: _, ...alone } = caseMember(verifyCase, 0, metadata);
    return {
      alone: { ...alone, maxNewTokens: NEW_TOKENS },
      recorded: {
        logits: batchMember(prefillLogits!, 0),
        steps: slicePositions(batchMember(greedy!.logits, 0), 0, NEW_TOKENS),
        tokens: greedy!.tokens[0]!.slice(0, NEW_TOKENS),
      },
    };
  };
  const one = recordedRow(cases[0]!, reference);
  const none: VerifyCase = {
    ...one.alone,
    name: 'no picture',
    ...padLeft([[metadata.bosTokenId, 301, 17, 96, 240, 33, 402]], metadata.padTokenId),
    pixelValues: {
      ...one.alone.pixelValues,
      shape: [0, 3, metadata.imageSize, metadata.imageSize],
      data: new Float32Array(),
    },
  };
  return [recordedRow(two!, frames.reference), { alone: none }, recordedRow(three!, frames.reference), one];
}

/** One batch of all. */
function inOneBatch(rows: readonly VerifyCase[], { padTokenId, imageSize }: ProgramMetadata): VerifyCase {
  const pixels = rows.flatMap(({ pixelValues }) => [...pixelValues.data]);
  return {
    ...rows[0]!,
    name: 'pictures of each row',
    ...padLeft(rows.map(idsOf), padTokenId),
    pixelValues: tensorOf('f32', [pixels.length / (3 * imageSize ** 2), 3, imageSize, imageSize], pixels),
  };
}

function idsOf({ inputIds }: VerifyCase): number[] {
  return [...inputIds.data];
}

/** Rows of a batch say what each says alone, and what was recorded. Of graphs, as verification runs them. */
export async function expectRowsAsAlone(model: Model, fixture: string): Promise<void> {
  const { metadata } = model;
  const rows = await mixedRows(fixture, metadata);
  const read = async (verifyCase: VerifyCase) => {
    const { prefillLogits, greedy } = await runCase(model, verifyCase);
    return (row: number): Said => ({
      logits: batchMember(prefillLogits!, row),
      steps: batchMember(greedy!.logits, row),
      tokens: greedy!.tokens[row]!,
    });
  };
  const together = await read(
    inOneBatch(
      rows.map(({ alone }) => alone),
      metadata,
    ),
  );
  for (const [i, { alone, recorded }] of rows.entries())
    expectSame({ together: together(i), alone: (await read(alone))(0), recorded }, { name: alone.name, metadata });
}

/** What runtimes of ours have in common. */
interface Driver<Features extends object> extends Pick<
  PictureModel<Features>,
  'facts' | 'encodePixels' | 'prefill' | 'decode'
> {
  logits(): Promise<{ readonly data: ArrayLike<number> }>;
}

/** The same of a model that a user has loaded. */
export async function expectRowsAsAloneOf<Features extends object>(
  model: Driver<Features>,
  fixture: string,
  free: (features: Features) => void,
): Promise<void> {
  const { facts } = model;
  const pixels = 3 * facts.imageSize ** 2;
  const rows = await mixedRows(fixture, facts);
  const pictures: Features[][] = [];
  for (const { alone } of rows) {
    const own: Features[] = [];
    for (let i = 0; i < alone.pixelValues.shape[0]!; i++)
      own.push(
        await model.encodePixels(Float32Array.from(alone.pixelValues.data.subarray(i * pixels, (i + 1) * pixels))),
      );
    pictures.push(own);
  }
  const read = async (which: readonly number[]) => {
    const ids = which.map((i) => {
      const { alone } = rows[i]!;
      return idsOf(alone).map((id) => (id === alone.imageTokenId ? facts.imageTokenId : id));
    });
    await model.prefill({ rows: ids, images: which.flatMap((i) => pictures[i]!), maxNewTokens: NEW_TOKENS });
    const { data } = await model.logits();
    const logits: Tensor = {
      dtype: 'f32',
      shape: [which.length, 1, data.length / which.length],
      data: Float32Array.from(data),
    };
    const tokens = which.map((): number[] => []);
    for await (const step of model.decode({ stopTokenIds: [] }))
      step.forEach((token, row) => tokens[row]!.push(token!));
    return (row: number): Said => ({ logits: batchMember(logits, row), tokens: tokens[row]! });
  };
  const together = await read([...rows.keys()]);
  for (const [i, { alone, recorded }] of rows.entries())
    expectSame({ together: together(i), alone: (await read([i]))(0), recorded }, { name: alone.name, metadata: facts });
  for (const features of pictures.flat()) free(features);
}

function expectSame(
  { together, alone, recorded }: { readonly together: Said; readonly alone: Said; readonly recorded: Said | undefined },
  { name, metadata }: { readonly name: string; readonly metadata: ProgramMetadata },
): void {
  expect(together.tokens, name).toHaveLength(NEW_TOKENS);
  for (const [whose, said] of Object.entries({ alone, ...(recorded && { recorded }) })) {
    const expectClose = (own: Tensor, other: Tensor) =>
      expect(difference(columnsOf(own, metadata), columnsOf(other, metadata)).maxAbs, `${name}, ${whose}`).toBeLessThan(
        FRAMES_LIMIT,
      );
    expectClose(together.logits, lastPositions(said.logits, together.logits.shape[1]!));
    if (together.steps) expectClose(together.steps, said.steps!);
    expect(together.tokens, `${name}, ${whose}`).toEqual(said.tokens);
  }
}

function columnsOf(logits: Tensor, metadata: ProgramMetadata) {
  return rowsOf(withoutImage(logits, metadata), { columns: metadata.vocabSize });
}
