import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { reportText } from '../../verify/report.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { bundleTokenizer, openBundle } from '../bundle/open_bundle.ts';
import { convert } from '../compile/convert.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { decodeImage } from '../images/decode.ts';
import { answer } from '../samples/answer.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { OWN_QUESTION, writeOwnCheckpoint } from '../testing/own_tokens.ts';

/* Tokens of a fine-tune's own in every backend, floats and codes (own_tokens.test.ts has ONNX in f32). */

let root: string;
let checkpoint: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-own-'));
  checkpoint = await writeOwnCheckpoint(join(root, 'checkpoint'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function expectRight(backend: string, precision: Precision, device: string, verified = true): Promise<void> {
  const out = join(root, `${backend}-${precision}`);
  await convert({ checkpoint, backend, precision, out, verify: false }, silentReporter);
  if (verified) {
    const report = await verifyBundle({ bundle: out, device }, silentReporter);
    expect(report.passed, reportText(report)).toBe(true);
  }
  const model = await openBundle(out, device);
  try {
    const { image, prompt, tokens } = OWN_QUESTION;
    const said = await answer(model, (await bundleTokenizer(out, model.manifest))!, {
      image: await decodeImage(image),
      prompt,
    });
    expect(said.tokens).toEqual(tokens);
  } finally {
    await model.dispose();
  }
}

it.each(['fp16', 'int4'] as const)('ONNX, %s', (precision) => expectRight('onnx', precision, 'cpu'), 300_000);
it.each(['fp32', 'int8'] as const)('tfjs, %s', (precision) => expectRight('tfjs', precision, 'cpu'), 300_000);
// each shape that verification takes costs a software GPU seconds of compiling: wgsl_int4.slow.test.ts pays it
itOnGpu('WGSL, fp32', () => expectRight('wgsl', 'fp32', 'webgpu', false), 600_000);
itOnGpu('WGSL, int8', () => expectRight('wgsl', 'int8', 'webgpu', false), 600_000);
