import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { withBrowserPage } from '../verify/environment/browser.ts';
import { itInChromium, itOnGpu } from '../verify/environment/requirement.ts';
import { generateAll } from '../verify/generate.ts';
import { readRecorded } from '../verify/recorded.ts';
import type { VerifyCase } from '../verify/cases.ts';
import { openBundle } from './bundle_model.ts';
import { openSafetensors } from './checkpoints/safetensors.ts';
import { convert } from './convert.ts';
import { silentReporter } from './progress/reporter.ts';
import { verifyBundle } from './verify_bundle.ts';

/*
 * SwiftShader, the software GPU, has no shader-f16, so it runs the fp32 bundle; an fp16 bundle needs a GPU with that feature.
 */

const GOLDEN = 'fixtures/pg1-tiny/golden.safetensors';
const ORT_WEB = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
const PAGE = fileURLToPath(new URL('./testing/', import.meta.url));
const NEW_TOKENS = 12;

let root: string;
let bundle: string;
let prompts: readonly VerifyCase[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-webgpu-'));
  bundle = (await convert({ checkpoint: 'fixtures/pg1-tiny/hf', backend: 'onnx', precision: 'fp32', out: join(root, 'tiny'), verify: false }, silentReporter)).out;
  const golden = await openSafetensors(GOLDEN);
  prompts = (await readRecorded(golden.tensors)).cases;
  await golden.close();
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function tokensOn(device: string): Promise<number[][][]> {
  const model = await openBundle(bundle, device);
  const tokens: number[][][] = [];
  for (const prompt of prompts) tokens.push(await generateAll(model, prompt, { maxNewTokens: NEW_TOKENS, stopTokenIds: [] }));
  await model.dispose();
  return tokens;
}

describe('onnxruntime-node, webgpu', () => {
  itOnGpu('computes what the original implementations recorded', async () => {
    const report = await verifyBundle({ bundle, against: GOLDEN, device: 'webgpu' }, silentReporter);
    expect(report.candidate).toContain('webgpu');
    expect(report.checks.filter((check) => !check.passed)).toEqual([]);
  }, 300_000);

  itOnGpu('says the same tokens as the cpu', async () => {
    expect(await tokensOn('webgpu')).toEqual(await tokensOn('cpu'));
  }, 300_000);
});

interface PageResult {
  readonly adapter: string;
  readonly dispatches: number;
  readonly answer: number[];
}

describe('onnxruntime-web, WebGPU, headless Chromium', () => {
  itInChromium('says the same tokens as onnxruntime-node on the cpu', async (executable) => {
    const [prompt] = prompts as readonly [VerifyCase];
    const length = prompt.inputIds.shape[1]!;
    const size = prompt.pixelValues.shape[2]!;
    const input = {
      names: { vision: 'vision_encoder', embed: 'embed_tokens', decoder: 'decoder_model_merged' },
      ids: [...prompt.inputIds.data.subarray(0, length)],
      pixels: [...prompt.pixelValues.data.subarray(0, 3 * size * size)],
      imageSize: size,
      imageTokenId: prompt.imageTokenId,
      steps: NEW_TOKENS,
    };
    const result = await withBrowserPage(
      { '/ort/': ORT_WEB, '/bundle/': bundle, '/page/': PAGE },
      (page) => page.evaluate<PageResult>(`import('/page/decode_in_page.js').then(({ decode }) => decode(${JSON.stringify(input)}))`),
      { executable, timeout: 300_000 },
    );
    expect(result.adapter).toBe('swiftshader');
    expect(result.dispatches).toBeGreaterThan(100);
    const [[expected]] = await tokensOn('cpu') as [[number[]]];
    expect(result.answer).toEqual(expected);
  }, 300_000);
});
