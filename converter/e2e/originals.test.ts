import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { ORIGINALS, OWN_TOKENS_RECORDING, type RecordedByOriginal } from '../testing/originals.ts';
import { writeOwnCheckpoint } from '../testing/own_tokens.ts';
import { recordedBundles } from '../testing/recorded_bundles.ts';

/*
 * Bundles against what the originals themselves said: fixtures/recordings, by the script that `pgconv record` writes,
 * run with transformers and with big_vision. Other backends are in originals.slow.test.ts.
 */

const { place, converted } = recordedBundles();

it.each(ORIGINALS)('$recording: onnx fp32 is what $engine says', async ({ fixture, engine, checkpoint, recording }) => {
  const { original } = await converted(fixture, 'onnx', 'fp32', { checkpoint, against: recording });
  expect(original).toMatchObject({ passed: true, recorded: { engine, checkpoint } });
  expect(original!.checks.map(({ output }) => output)).toEqual(
    expect.arrayContaining(['image_features', 'prefill logits', 'suffix logits', 'greedy logits', 'greedy tokens']),
  );
});

describe('a fine-tune whose own tokens stand behind <image>, in a padded table', () => {
  const against = OWN_TOKENS_RECORDING;
  let checkpoint: string;
  beforeAll(async () => {
    checkpoint = await writeOwnCheckpoint(place('own'), { rows: 1600 });
  });

  it('is what transformers says', async () => {
    const { original } = await converted('shapes', 'onnx', 'fp32', { checkpoint, against });
    expect(original).toMatchObject({ passed: true, recorded: { engine: 'transformers' } });
  });

  it('is not, where a tokenizer that does not know them had them cut', async () => {
    const out = place('cut');
    const tokenizer = 'fixtures/shapes/hf/tokenizer.json';
    const refusal = { code: 'recording_tokens', message: expect.stringMatching(/token 1539 is none of .* 1538/) };
    await expect(converted('shapes', 'onnx', 'fp32', { checkpoint, tokenizer, out, against })).rejects.toMatchObject(
      refusal,
    );
    // a bundle that nobody held against the original; the checkpoint as it was cut agrees
    const bundle = (await converted('shapes', 'onnx', 'fp32', { checkpoint, tokenizer })).out;
    await expect(verifyBundle({ bundle, against }, silentReporter)).rejects.toMatchObject(refusal);
  });
});

describe('a recording that is none of the original in f32', () => {
  let bundle: string;
  beforeAll(async () => {
    bundle = (await converted('pg1-tiny', 'onnx', 'fp32')).out;
  });

  /** The recording by transformers, with a change in its JSON. */
  async function changed(change: (json: string) => string): Promise<string> {
    const path = `${place('recording')}.safetensors`;
    const [{ recording: from }] = ORIGINALS as [RecordedByOriginal];
    await copyFile(from, path);
    await writeFile(jsonOf(path), change(await readFile(jsonOf(from), 'utf8')));
    return path;
  }

  it.each([
    ['"tf32": false', '"tf32": true', 'tf32'],
    ['"dtype": "float32"', '"dtype": "bfloat16"', 'dtype bfloat16'],
    ['"attention": "eager"', '"attention": "sdpa"', 'attention sdpa'],
    ['"attention": "eager"', '"attention": "flash_attention_2"', 'attention flash_attention_2'],
    ['"matmul_precision": "highest"', '"matmul_precision": "high"', 'matmul_precision high'],
  ])('%s made %s is refused by name', async (was, is, name) => {
    const against = await changed((json) => {
      expect(json).toContain(was);
      return json.replace(was, is);
    });
    await expect(verifyBundle({ bundle, against }, silentReporter)).rejects.toMatchObject({
      code: 'recording_arithmetic',
      message: expect.stringContaining(name),
    });
  });

  it('cut short is refused', async () => {
    const against = await changed((json) => json);
    await truncate(against, 100_000);
    await expect(verifyBundle({ bundle, against }, silentReporter)).rejects.toMatchObject({ place: { file: against } });
  });
});

function jsonOf(recording: string): string {
  return recording.replace(/safetensors$/, 'json');
}
