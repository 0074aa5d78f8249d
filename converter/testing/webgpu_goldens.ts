import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { generateAll } from '../../verify/generate.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { verifyOnDevice } from './on_device.ts';
import { readRecording, type Recording } from './recording.ts';
import { expectWithinRounding } from './rounding.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';

/** A fixture, and how far its logits may be from the recorded ones. */
export interface WebgpuGoldens {
  readonly fixture: string;
  readonly limit: number;
  /** Whether the bundle is compared with itself as well, as `pgconv verify` does. */
  readonly withItself: boolean;
}

const NEW_TOKENS = 12;

/** Tests of an fp32 bundle for ONNX Runtime: what both originals recorded, on the cpu and on WebGPU. */
export function describeOnWebgpu({ fixture, limit, withItself }: WebgpuGoldens): void {
  describe(fixture, () => {
    let root: string;
    let bundle: string;
    let recording: Recording;
    let recordedTokens: number[][][];

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'pgconv-webgpu-'));
      bundle = (
        await convert(
          {
            checkpoint: `fixtures/${fixture}/hf`,
            backend: 'onnx',
            precision: 'fp32',
            out: join(root, 'tiny'),
            verify: false,
          },
          silentReporter,
        )
      ).out;
      recording = await readRecording(`fixtures/${fixture}`);
      recordedTokens = recording.cases.map(({ name }) =>
        recording.reference.outcomes.get(name)!.greedy!.tokens.map((row) => row.slice(0, NEW_TOKENS)),
      );
    });
    afterAll(() => rm(root, { recursive: true, force: true }));

    const verifyOn = (device: string) =>
      withItself
        ? verifyBundle({ bundle, against: `fixtures/${fixture}/golden.safetensors`, device }, silentReporter)
        : verifyOnDevice(bundle, device, recording);

    test('the cpu computes what was recorded, and says its tokens', async () => {
      expectWithinRounding(await verifyOn('cpu'), limit);
      const model = await openBundle(bundle, 'cpu');
      for (const [i, prompt] of recording.cases.entries())
        expect(await generateAll(model, prompt, { maxNewTokens: NEW_TOKENS, stopTokenIds: [] })).toEqual(
          recordedTokens[i],
        );
      await model.dispose();
    });

    itOnGpu(
      'so does webgpu',
      async () => {
        const report = await verifyOn('webgpu');
        expect(report.candidate).toContain('webgpu');
        expectWithinRounding(report, limit);
      },
      300_000,
    );
  });
}
