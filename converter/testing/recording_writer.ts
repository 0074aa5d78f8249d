import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTensor, tensorData, tensorOf, type Tensor } from '../../ir/tensor.ts';
import { batchMember, slicePositions } from '../../verify/rows.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import type { RecordingDescription } from '../record/description.ts';

/** A recording before it is written: what tests change. */
export interface MadeRecording {
  readonly tensors: Map<string, Tensor>;
  readonly description: Omit<RecordingDescription, 'tensors'>;
}

const GOLDEN_PARTS = ['pixel_values', 'input_ids', 'token_type_ids', 'image_features', 'logits'] as const;
type Golden = Readonly<Record<(typeof GOLDEN_PARTS)[number] | 'gen_tokens' | 'gen_logits', Tensor>>;

/**
 * The goldens of a fixture in the form of docs/recording.md, as somebody else's program would write it. Cases of
 * different lengths: both rows of the golden, and the second once more without its answer.
 */
export async function recordingOf(
  folder: string,
  files: RecordingDescription['checkpoint']['files'],
  { stages = true }: { readonly stages?: boolean } = {},
): Promise<MadeRecording> {
  const golden = (await tensorsOf(join(folder, 'golden.safetensors'))) as unknown as Golden;
  const inside = stages ? await tensorsOf(join(folder, 'stages.safetensors')) : {};
  const tensors = new Map<string, Tensor>();
  const cases = [
    { row: 0, answered: true },
    { row: 1, answered: true },
    { row: 1, answered: false },
  ].map(({ row, answered }, number) => {
    const types = [...batchMember(golden.token_type_ids, row).data];
    const length = answered ? types.length : types.indexOf(1);
    const text = golden.logits.shape[1]! - types.length + length;
    const ids = [...batchMember(golden.input_ids, row).data].slice(0, length);
    const pixels = batchMember(golden.pixel_values, row);
    const said = [...batchMember(golden.gen_tokens, row).data];
    const parts: Readonly<Record<string, Tensor>> = {
      pixel_values: pixels,
      input_ids: tensorOf('i64', [1, length], ids),
      token_type_ids: tensorOf('i64', [1, length], types.slice(0, length)),
      image_features: batchMember(golden.image_features, row),
      logits: slicePositions(batchMember(golden.logits, row), 0, text),
      greedy_ids: tensorOf('i64', [1, said.length], said),
      greedy_logits: batchMember(golden.gen_logits, row),
      ...Object.fromEntries(
        Object.entries(inside).map(([name, value]) => {
          const own = batchMember(value, row);
          return [`stages/${name}`, name.startsWith('lm.') ? slicePositions(own, 0, length) : own];
        }),
      ),
    };
    for (const [name, value] of Object.entries(parts)) tensors.set(`${number}/${name}`, value);
    return {
      name: `row ${row}${answered ? '' : ', no answer'}`,
      images: [],
      prompt: null,
      answer: null,
      input_ids: ids,
      token_type_ids: types.slice(0, length) as (0 | 1)[],
      greedy_ids: said,
      pixels_sha256: sha256Of(new Uint8Array(Float32Array.from(pixels.data).buffer)),
    };
  });
  const description: MadeRecording['description'] = {
    format: 'pgconv-recording',
    version: 1,
    recorder: { name: 'a test', version: '1' },
    engine: 'big_vision',
    versions: { jax: '0' },
    checkpoint: { path: folder, files },
    adapters: [],
    arithmetic: {
      dtype: 'float32',
      attention: 'eager',
      tf32: false,
      matmul_precision: 'highest',
      deterministic: true,
      cache: false,
    },
    image_token_id: golden.input_ids.data[0]!,
    stages,
    repeated: true,
    cases,
  };
  return { tensors, description };
}

/** Writes both files; returns the path of the tensors. */
export async function writeRecording(
  folder: string,
  { tensors, description }: MadeRecording,
  name = 'golden',
): Promise<string> {
  const path = join(folder, `${name}.safetensors`);
  await writeSafetensors(
    path,
    [...tensors].map(([tensor, value]) => ({ name: tensor, data: tensorData(value) })),
  );
  const bytes = readFileSync(path);
  const written = { file: `${name}.safetensors`, bytes: bytes.length, sha256: sha256Of(bytes) };
  writeFileSync(join(folder, `${name}.json`), JSON.stringify({ ...description, tensors: written }));
  return path;
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function tensorsOf(path: string): Promise<Readonly<Record<string, Tensor>>> {
  const { tensors, close } = await openSafetensors(path);
  try {
    return Object.fromEntries(
      await Promise.all([...tensors].map(async ([name, data]) => [name, await readTensor(data)] as const)),
    );
  } finally {
    await close();
  }
}
