import { tensorOf } from '../../ir/tensor.ts';
import { encodeImages, extend, prefill } from '../../verify/decode.ts';
import { choose } from '../../verify/metrics.ts';
import type { Prompt } from '../../verify/prompt.ts';
import { rowsOf } from '../../verify/rows.ts';
import type { DeviceChoice } from '../bundle/choose_device.ts';
import { readManifest } from '../bundle/manifest.ts';
import {
  bundleBackend,
  bundleProcessor,
  bundleTokenizer,
  requireAnswers,
  requireTokenizer,
  type BundleModel,
} from '../bundle/open_bundle.ts';
import { decodeImage } from '../images/decode.ts';
import { promptOf } from '../samples/calibration_sample.ts';
import { defaultSamples } from '../samples/default_samples.ts';
import { promptOfPictures } from '../samples/answer.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { medianOf } from './median.ts';
import { findDevice, openChosen } from './opening.ts';

export interface BenchOptions extends DeviceChoice {
  readonly bundles: readonly string[];
  /** What is asked; default one of the built-in pictures with its prompt. */
  readonly image?: string | undefined;
  readonly prompt?: string | undefined;
  /** Tokens after the first, of each run. */
  readonly tokens: number;
  /** Runs that count, after one that does not. */
  readonly runs: number;
  readonly signal?: AbortSignal;
}

/** Of all runs. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** What one bundle took. */
export interface BundleFigures {
  readonly bundle: string;
  readonly backend: string;
  readonly precision: string;
  readonly device: string;
  /** Of the prompt, image tokens included. */
  readonly promptTokens: number;
  /** To open it, once: read, upload, compile. */
  readonly openSeconds: number;
  /** From the picture to the first token: image tower, prompt and choice. */
  readonly firstTokenSeconds: Spread;
  /** Of it, the image tower. */
  readonly imageSeconds: Spread;
  /** The prompt with its image tokens, a second. */
  readonly prefillTokensPerSecond: Spread;
  /** New tokens, a second. */
  readonly decodeTokensPerSecond: Spread;
  /**
   * What this process took more while the bundle was opened and first run; a GPU's own memory and a browser's are not
   * in it.
   */
  readonly memoryBytes: number;
}

interface Opened {
  readonly figures: Pick<BundleFigures, 'bundle' | 'backend' | 'precision' | 'device' | 'openSeconds' | 'memoryBytes'>;
  readonly model: BundleModel;
  readonly prompt: Prompt;
  readonly runs: Run[];
}

interface Run {
  readonly image: number;
  readonly prefill: number;
  readonly decode: number;
}

/**
 * Times bundles side by side: all are opened, and asked by turns, so that a machine whose speed drifts is as unfair to
 * one as to the other. The first run of each does not count.
 * @throws UsageError for a bundle that gives no answers; BackendError for what runs none here; BadInputError
 */
export async function benchBundles(options: BenchOptions, reporter: Reporter): Promise<readonly BundleFigures[]> {
  const { bundles, tokens, runs, signal } = options;
  const opened: Opened[] = [];
  try {
    for (const bundle of bundles) opened.push(await openTimed(bundle, options, reporter));
    const stage = reporter.stage('ask by turns', { unit: 'steps', total: runs * opened.length });
    try {
      for (let run = 0; run < runs; run++)
        for (const { model, prompt, runs: done } of opened) {
          signal?.throwIfAborted();
          done.push(await timed(model, prompt, tokens));
          stage.advance(1);
        }
    } finally {
      stage.done();
    }
    return opened.map(figuresOf(tokens));
  } finally {
    for (const { model } of opened) await model.dispose();
  }
}

async function openTimed(
  bundle: string,
  { image, prompt, device, browser, tokens }: BenchOptions,
  reporter: Reporter,
): Promise<Opened> {
  const manifest = await readManifest(bundle);
  const metadata = manifest.program;
  requireAnswers(bundle, manifest);
  const processor = await bundleProcessor(bundle, manifest);
  const { mode } = processor;
  const asked =
    image === undefined
      ? await defaultSamples(metadata, { tokenizer: await bundleTokenizer(bundle, manifest), processor })[0]!.load()
      : promptOf(
          await decodeImage(image, { mode }),
          promptOfPictures(await requireTokenizer(bundle, manifest), metadata, {
            prompt: prompt ?? 'caption en',
            images: 1,
            mode,
          }),
          metadata,
          processor,
        );
  const chosen = await findDevice(await bundleBackend(bundle, manifest), { device, browser }, reporter);
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const model = await openChosen(bundle, manifest, chosen, reporter, bundle);
  const openSeconds = (performance.now() - start) / 1000;
  try {
    await timed(model, asked, Math.min(tokens, 2));
  } catch (error) {
    await model.dispose();
    throw error;
  }
  const memoryBytes = Math.max(0, process.memoryUsage().rss - before);
  const { backend, precision } = manifest;
  return {
    figures: { bundle, backend, precision, device: chosen.device, openSeconds, memoryBytes },
    ...{ model, prompt: asked, runs: [] },
  };
}

/** One answer of a fixed length: an end token does not end it. */
async function timed(model: BundleModel, prompt: Prompt, tokens: number): Promise<Run> {
  const { vocabSize, padTokenId } = model.metadata;
  const chosen = (logits: Parameters<typeof rowsOf>[0]) => {
    const { token, logit } = choose(rowsOf(logits, { columns: vocabSize }), 0);
    return tensorOf('i64', [1, 1], [Number.isNaN(logit) ? padTokenId : token]);
  };
  const begin = performance.now();
  const { features } = await encodeImages(model, prompt.pixelValues);
  const seen = performance.now();
  let step = await prefill(model, prompt, features, { logitsToKeep: 1 });
  let next = chosen(step.logits);
  const first = performance.now();
  for (let i = 0; i < tokens; i++) {
    step = await extend(model, step.state, next, { logitsToKeep: 1 });
    next = chosen(step.logits);
  }
  const end = performance.now();
  return { image: (seen - begin) / 1000, prefill: (first - seen) / 1000, decode: (end - first) / 1000 };
}

function figuresOf(tokens: number) {
  return ({ figures, prompt, runs }: Opened): BundleFigures => {
    const promptTokens = prompt.inputIds.shape[1]!;
    const spread = (of: (run: Run) => number): Spread => {
      const values = runs.map(of);
      return { median: medianOf(values), least: Math.min(...values), most: Math.max(...values) };
    };
    return {
      ...figures,
      promptTokens,
      firstTokenSeconds: spread(({ image, prefill: read }) => image + read),
      imageSeconds: spread(({ image }) => image),
      prefillTokensPerSecond: spread(({ prefill: read }) => promptTokens / read),
      decodeTokensPerSecond: spread(({ decode }) => tokens / decode),
    };
  };
}
