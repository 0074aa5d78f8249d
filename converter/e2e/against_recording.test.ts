import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { recordedBundles, spoil } from '../testing/recorded_bundles.ts';

/*
 * What original implementations said of the tiny checkpoints, in the form of docs/recording.md. Backends beside onnx,
 * and codes, are in against_recording.slow.test.ts.
 */

const { place, converted, recorded } = recordedBundles();
let bundle: string;

beforeAll(async () => {
  bundle = (await converted('pg1-tiny', 'onnx', 'fp32')).out;
});

const verified = (against: string) => verifyBundle({ bundle, against }, silentReporter);

describe('a bundle with which the original agrees', () => {
  it('is published, and may be held to it again', async () => {
    const against = await recorded('pg1-tiny', bundle);
    const { out, original, verification } = await converted('pg1-tiny', 'onnx', 'fp32', { against });
    expect(verification).toBeUndefined();
    expect(original).toMatchObject({
      passed: true,
      reference: against,
      recorded: { engine: 'big_vision', checkpoint: 'fixtures/pg1-tiny' },
    });
    const cases = [...new Set(original!.checks.map((check) => check.case))];
    expect(cases).toEqual(['1: row 0', '2: row 1', '3: row 1, no answer']);
    expect(existsSync(out)).toBe(true);
    const again = await verified(against);
    expect(again.checks.map(({ output }) => output)).toEqual(original!.checks.map(({ output }) => output));
    // what holds of a bundle by itself is asked once
    expect(again.checks.filter(({ output }) => output === 'prompt sees ahead')).toHaveLength(1);
  });

  it('is compared with the checkpoint too, unless that is left out', async () => {
    const against = await recorded('pg1-tiny', bundle);
    const { original, verification } = await converted('pg1-tiny', 'onnx', 'fp32', { against, verify: true });
    expect([original!.passed, verification!.passed]).toEqual([true, true]);
    expect(verification!.recorded).toBeUndefined();
  });
});

describe('a bundle with which the original does not agree', () => {
  it.each([
    ['2/logits', 'prefill logits', 'logits'],
    ['1/image_features', 'image_features', 'image_features'],
  ])('%s: is not published', async (tensor, output, stage) => {
    const against = await recorded('pg1-tiny', bundle, (recording) => spoil(recording, tensor));
    const out = place('other');
    await expect(converted('pg1-tiny', 'onnx', 'fp32', { out, against })).rejects.toMatchObject({
      code: 'parity_failed',
      exitCode: 1,
      report: { passed: false, recorded: { engine: 'big_vision' } },
    });
    expect(existsSync(out)).toBe(false);
    expect(existsSync(`${out}.unverified`)).toBe(false);
    const report = await verified(against);
    expect(report.checks.filter(({ passed }) => !passed).map((check) => check.output)).toEqual([output]);
    expect(report.firstDivergingStage).toMatchObject({ stage });
  });

  it('is told the first stage that differs', async () => {
    const against = await recorded('pg1-tiny', bundle, (recording) => {
      for (const name of ['logits', 'stages/lm.2', 'stages/lm.3']) spoil(recording, `0/${name}`);
    });
    expect((await verified(against)).firstDivergingStage).toMatchObject({
      case: '1: row 0',
      phase: 'prefill',
      stage: 'lm.2',
    });
  });
});

describe('a recording of something else', () => {
  it('is refused with the name of the file', async () => {
    const against = await recorded('pg1-tiny', bundle, ({ description }) => {
      const { files } = description.checkpoint;
      description.checkpoint.files = files.map((file) =>
        file.path === 'model-00002-of-00004.safetensors' ? { ...file, sha256: 'ab'.repeat(32) } : file,
      );
    });
    const refusal = {
      code: 'recording_of_other',
      message: expect.stringMatching(/"model-00002-of-00004\.safetensors" .*sha256/),
      place: { file: against },
    };
    await expect(verified(against)).rejects.toMatchObject(refusal);
    const out = place('other');
    await expect(converted('pg1-tiny', 'onnx', 'fp32', { out, against })).rejects.toMatchObject(refusal);
    expect(existsSync(out)).toBe(false);
  });

  it('of other sizes is refused before anything is written', async () => {
    const { out: other } = await converted('pg2-tiny', 'onnx', 'fp32');
    const against = await recorded('pg2-tiny', other);
    const out = place('other');
    await expect(converted('pg1-tiny', 'onnx', 'fp32', { out, against })).rejects.toMatchObject({
      code: 'recording_of_other',
    });
    expect(existsSync(out)).toBe(false);
    expect(existsSync(`${out}.unverified`)).toBe(false);
  });

  it('convert takes a recording, not a checkpoint', async () => {
    const against = 'fixtures/pg1-tiny/hf';
    await expect(converted('pg1-tiny', 'onnx', 'fp32', { against })).rejects.toMatchObject({ code: 'not_a_recording' });
  });
});
