import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tensorOf } from '../../ir/tensor.ts';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { recordingOf, writeRecording, type MadeRecording } from '../testing/recording_writer.ts';
import type { RecordingDescription } from './description.ts';
import { openRecording } from './open_recording.ts';

const TINY = fileURLToPath(new URL('../../fixtures/pg1-tiny', import.meta.url));
const FILES = [{ path: 'model.safetensors', bytes: 3, sha256: 'ab'.repeat(32) }];
const IDS = { vocabSize: 512, imageTokenId: 511 };

async function made(change: (recording: MadeRecording) => void = () => {}): Promise<string> {
  const recording = await recordingOf(TINY, FILES);
  change(recording);
  return writeRecording(tempFolder(), recording);
}

/** The JSON of a recording with something else in it. */
function describedAs(path: string, change: (description: RecordingDescription) => object): void {
  const file = path.replace(/\.safetensors$/, '.json');
  writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')) as RecordingDescription)));
}

/** One element of a tensor as something else. */
function withValue({ tensors }: MadeRecording, name: string, value: number): void {
  const { dtype, shape, data } = tensors.get(name)!;
  tensors.set(name, { dtype, shape, data: data.with(0, value) });
}

describe('a recording', () => {
  it('has cases of different lengths, answers or none', async () => {
    const recording = (await openRecording(await made(), IDS))!;
    expect(
      recording.cases.map(({ name, inputIds, suffixIds, maxNewTokens, logitsToKeep, comparedOnly }) => ({
        name,
        prompt: inputIds.shape[1],
        answer: suffixIds?.shape[1],
        maxNewTokens,
        logitsToKeep,
        comparedOnly,
      })),
    ).toEqual([
      { name: '1: row 0', prompt: 21, answer: 4, maxNewTokens: 12, logitsToKeep: 5, comparedOnly: undefined },
      { name: '2: row 1', prompt: 21, answer: 4, maxNewTokens: 12, logitsToKeep: 5, comparedOnly: true },
      {
        name: '3: row 1, no answer',
        prompt: 21,
        answer: undefined,
        maxNewTokens: 12,
        logitsToKeep: 5,
        comparedOnly: true,
      },
    ]);
    const { outcomes, of } = recording.reference;
    expect(of).toEqual({ engine: 'big_vision', version: '', checkpoint: TINY });
    const [whole, , bare] = [...outcomes.values()];
    expect(whole!.prefillLogits!.shape).toEqual([1, 5, 512]);
    expect(whole!.suffixLogits!.shape).toEqual([1, 4, 512]);
    expect(whole!.greedy!.choices[0]!.map(({ token }) => token)).toEqual(whole!.greedy!.tokens[0]);
    expect(whole!.stages!.prefill['lm.1']!.shape).toEqual([1, 21, 64]);
    expect(whole!.stages!.suffix['lm.1']!.shape).toEqual([1, 4, 64]);
    expect(bare!.suffixLogits).toBeUndefined();
    expect(bare!.stages!.suffix).toEqual({});
    expect(recording.stages).toEqual({
      vision_encoder: ['vit.0', 'vit.1', 'vit.2', 'vit.3', 'vit.post_layernorm', 'image_features'],
      decoder: ['lm.0', 'lm.1', 'lm.2', 'lm.3'],
    });
  });

  it('may have neither stages nor greedy tokens', async () => {
    const recording = await recordingOf(TINY, FILES, { stages: false });
    for (const [at, each] of recording.description.cases.entries()) {
      each.greedy_ids = [];
      recording.tensors.delete(`${at}/greedy_ids`);
      recording.tensors.delete(`${at}/greedy_logits`);
    }
    const { stages, cases, reference } = (await openRecording(await writeRecording(tempFolder(), recording), IDS))!;
    expect(stages).toEqual({ vision_encoder: [], decoder: [] });
    expect(cases.map(({ maxNewTokens }) => maxNewTokens)).toEqual([0, 0, 0]);
    expect([...reference.outcomes.values()].every(({ greedy, stages }) => !greedy && !stages)).toBe(true);
  });

  it('is told from the goldens of fixtures, which are read as before, and from checkpoints', async () => {
    const golden = (await openRecording(join(TINY, 'golden.safetensors'), IDS))!;
    expect(golden.description).toBeUndefined();
    expect(golden.cases.map(({ name }) => name)).toEqual(['recorded', 'recorded, left-padded']);
    expect(golden.stages['decoder']).toEqual(['lm.0', 'lm.1', 'lm.2', 'lm.3']);
    expect(await openRecording(join(TINY, 'hf/model-00001-of-00004.safetensors'), IDS)).toBeUndefined();
    expect(await openRecording(join(TINY, 'bv_f32.npz'), IDS)).toBeUndefined();
    expect(await openRecording(TINY, IDS)).toBeUndefined();
  });
});

describe('refuses a recording', () => {
  it.each([
    ['in bf16', { dtype: 'bfloat16' }, /dtype bfloat16/],
    ['by TF32', { tf32: true }, /tf32/],
    ['in less than the highest precision', { matmul_precision: 'high' }, /matmul_precision high/],
    ['by sdpa', { attention: 'sdpa' }, /attention sdpa/],
    ['by flash attention', { attention: 'flash_attention_2' }, /attention flash_attention_2/],
    ['through a cache', { cache: true }, /cache/],
    ['that need not be the same twice', { deterministic: false }, /deterministic is false/],
  ])('made %s', async (_, flags, message) => {
    const path = await made(({ description }) => void Object.assign(description.arithmetic, flags));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({
      code: 'recording_arithmetic',
      message: expect.stringMatching(message),
      place: { file: path.replace('.safetensors', '.json') },
    });
  });

  it('that nobody ran twice', async () => {
    const path = await made();
    describedAs(path, (description) => ({ ...description, repeated: false }));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({ code: 'recording_arithmetic' });
  });

  it.each([
    ['has no version', () => ({}), /format/],
    ['is of a later version', (d: RecordingDescription) => ({ ...d, version: 2 }), /version/],
    ['has no cases', (d: RecordingDescription) => ({ ...d, cases: [] }), /cases/],
    [
      'has other ids than the tensors',
      (d: RecordingDescription) => ({
        ...d,
        cases: d.cases.with(0, { ...d.cases[0]!, input_ids: d.cases[1]!.input_ids }),
      }),
      /i64\[1, tokens\]/,
    ],
    [
      'has an answer that the prompt interrupts',
      (d: RecordingDescription) => ({
        ...d,
        cases: d.cases.with(0, {
          ...d.cases[0]!,
          token_type_ids: d.cases[0]!.token_type_ids.map((type, i, all) => (i === all.length - 1 ? 0 : type)),
        }),
      }),
      /a prompt has both/,
    ],
    ['lacks a case', (d: RecordingDescription) => ({ ...d, cases: d.cases.slice(0, 2) }), /no case that the descr/],
    ['says that there are no stages', (d: RecordingDescription) => ({ ...d, stages: false }), /there are no stages/],
    [
      'lacks greedy tokens',
      (d: RecordingDescription) => ({ ...d, cases: d.cases.map((each) => ({ ...each, greedy_ids: [] })) }),
      /no greedy tokens/,
    ],
  ])('whose JSON %s', async (_, change, message) => {
    const path = await made();
    describedAs(path, change);
    await expect(openRecording(path, IDS)).rejects.toMatchObject({
      code: 'recording_invalid',
      message: expect.stringMatching(message),
    });
  });

  it('without its JSON', async () => {
    const path = await made();
    const alone = join(tempFolder(), 'other.safetensors');
    writeFileSync(alone, readFileSync(path));
    await expect(openRecording(alone, IDS)).rejects.toMatchObject({
      code: 'recording_invalid',
      place: { file: alone.replace('.safetensors', '.json') },
    });
  });

  it('of which bytes changed, or the end is missing', async () => {
    const path = await made();
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({ code: 'recording_damaged', place: { file: path } });
    writeFileSync(path, bytes.subarray(0, bytes.length - 8));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({
      code: 'recording_damaged',
      place: { hint: expect.stringContaining('copy the recording again') },
    });
  });

  it.each([
    ['0/logits', Number.NaN],
    ['1/image_features', Infinity],
    ['0/greedy_logits', -Infinity],
    ['2/stages/lm.2', Number.NaN],
  ])('with %s of %d', async (tensor, value) => {
    const path = await made((recording) => withValue(recording, tensor, value));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({
      code: 'recording_not_finite',
      message: `element 0 is ${value}`,
      place: { file: path, tensor },
    });
  });

  it('with a token that the bundle lacks', async () => {
    await expect(openRecording(await made(), { vocabSize: 300, imageTokenId: 511 })).rejects.toMatchObject({
      code: 'recording_tokens',
      place: { tensor: expect.stringMatching(/^\d\/(input|greedy)_ids$/) },
    });
  });

  it('with other pixels than were hashed', async () => {
    const path = await made((recording) => withValue(recording, '0/pixel_values', 0.5));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({
      code: 'recording_damaged',
      place: { tensor: '0/pixel_values' },
    });
  });

  it('whose greedy tokens are not what its logits choose', async () => {
    const path = await made((recording) => withValue(recording, '0/greedy_logits', 1e6));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({
      code: 'recording_invalid',
      place: { tensor: '0/greedy_ids' },
    });
  });

  it.each([
    ['0/logits', undefined],
    ['2/logits', tensorOf('f32', [1, 4, 512], new Float32Array(2048))],
    // of a bundle with 512 tokens the others would be compared with nothing
    ['0/logits', tensorOf('f32', [1, 9, 1], new Float32Array(9))],
    ['0/greedy_logits', tensorOf('f32', [1, 12, 511], new Float32Array(12 * 511))],
    ['1/image_features', tensorOf('f32', [2, 16, 64], new Float32Array(2048))],
    ['1/image_features', tensorOf('f32', [1, 15, 64], new Float32Array(960))],
    ['0/stages/vit.1', tensorOf('f32', [1, 3, 48], new Float32Array(144))],
    ['0/stages/vit.77x', tensorOf('f32', [1, 16, 48], new Float32Array(768))],
    ['0/stages/vit.1', tensorOf('f32', [1, 16, 70_000], new Float32Array(16 * 70_000))],
    ['0/nonsense', tensorOf('f32', [1], new Float32Array(1))],
    ['7/logits', tensorOf('f32', [1], new Float32Array(1))],
    ['0/stages/lm.1', tensorOf('f32', [1, 5, 64], new Float32Array(320))],
  ])('with another %s', async (tensor, value) => {
    const path = await made(({ tensors }) => void (value ? tensors.set(tensor, value) : tensors.delete(tensor)));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({
      code: 'recording_invalid',
      place: { file: path, tensor },
    });
  });
});

it('whose stages are gone is refused', async () => {
  const path = await made(({ tensors }) => {
    for (const name of [...tensors.keys()]) if (name.startsWith('1/stages/')) tensors.delete(name);
  });
  await expect(openRecording(path, IDS)).rejects.toMatchObject({
    code: 'recording_invalid',
    place: { tensor: '1/stages' },
  });
});

describe('of other sizes than the model', () => {
  it.each([
    ['0/pixel_values', { imageSize: 28 }],
    ['0/image_features', { imageTokens: 9 }],
    ['0/image_features', { hiddenSize: 72 }],
    ['0/stages/lm.3', { layers: 2 }],
  ])('is refused by %s: %o', async (tensor, sizes) => {
    const path = await made();
    await expect(openRecording(path, { ...IDS, ...sizes })).rejects.toMatchObject({
      code: 'recording_invalid',
      place: { file: path, tensor },
    });
  });
});

describe('a recording that is not whole', () => {
  it.each([
    ['its name without an ending', (path: string) => path.replace(/\.safetensors$/, ''), () => {}],
    ['its tensors, which are gone', (path: string) => path, (path: string) => rmSync(path)],
  ])('%s', async (_, asked, change) => {
    const path = await made();
    change(path);
    await expect(openRecording(asked(path), IDS)).rejects.toMatchObject({ code: 'not_a_recording', exitCode: 2 });
  });

  it('without the ids of its first case is a recording all the same', async () => {
    const path = await made(({ tensors }) => void tensors.delete('0/input_ids'));
    await expect(openRecording(path, IDS)).rejects.toMatchObject({
      code: 'recording_invalid',
      place: { tensor: '0/input_ids' },
    });
  });
});

describe('the JSON of a recording', () => {
  it('is no recording, and says where that is', async () => {
    const tensors = await made();
    const file = tensors.replace(/\.safetensors$/, '.json');
    await expect(openRecording(file, IDS)).rejects.toMatchObject({
      code: 'not_a_recording',
      exitCode: 2,
      place: { file, hint: `give ${tensors}` },
    });
    rmSync(tensors);
    await expect(openRecording(file, IDS)).rejects.toMatchObject({
      code: 'not_a_recording',
      place: { hint: expect.stringMatching(/is not beside it$/) },
    });
  });

  it('is told from other JSON, which is for others to refuse', async () => {
    await expect(openRecording(join(TINY, 'hf/config.json'), IDS)).rejects.toMatchObject({ code: 'not_weights' });
    expect(await openRecording(join(TINY, 'none.json'), IDS)).toBeUndefined();
  });
});
