import { load, type LoadOptions, type Model } from '../../backends/wgsl/runtime/index.ts';
import type { PageCase, PageResult } from './page_case.ts';

/* What runs in a page for wgsl.browser.test.ts: pgconv/runtime as a user's program has it. Results are plain data. */

const { navigator: browser } = globalThis as unknown as { readonly navigator: { readonly gpu: GPU } };
let model: Model;
/** Devices that were opened. */
const devices: GPUDevice[] = [];
/** The browser's GPU, which lets one reach devices to lose them. */
const gpu: NonNullable<LoadOptions['gpu']> = {
  async requestAdapter(options) {
    const adapter = await browser.gpu.requestAdapter(options);
    if (!adapter) return null;
    const request = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (descriptor) => {
      const device = await request(descriptor);
      devices.push(device);
      return device;
    };
    return adapter;
  },
};

export interface Opened {
  readonly imageTokenId: number;
  readonly adapter: string;
  readonly choices: readonly {
    readonly shader: string;
    readonly features: readonly string[];
    readonly reason: string;
  }[];
  readonly cache: { readonly hits: number; readonly stored: number; readonly problem: string | undefined };
}

/** The model for what follows. */
export async function open(bundle: string): Promise<Opened> {
  model = await load(bundle, { gpu });
  const { adapter, choices, cache } = model.info;
  return { imageTokenId: model.facts.imageTokenId, adapter, choices, cache: { ...cache } };
}

export async function close(): Promise<number> {
  await model.dispose();
  return model.memory.bytes;
}

export async function run({ rows, pictures, steps }: PageCase): Promise<PageResult> {
  const images = [];
  const features: number[][] = [];
  for (const picture of pictures) {
    images.push(await model.encodePixels(Float32Array.from(picture)));
    features.push(Array.from((await model.dumpTensor('image_features')).data));
  }
  await model.prefill({ rows, images, maxNewTokens: steps });
  const logits = Array.from((await model.logits()).data);
  const tokens: (number | undefined)[][] = rows.map(() => []);
  for await (const step of model.decode({ stopTokenIds: [], ahead: 3 }))
    step.forEach((token, row) => tokens[row]!.push(token));
  for (const image of images) image.destroy();
  return { features, logits, tokens };
}

/** Answers to pictures that the page fetches: by the canvas, and by the tokenizer of the bundle. */
export async function ask(
  questions: readonly { readonly image: string; readonly prompt: string }[],
): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const [i, { image, prompt }] of questions.entries()) {
    let said = '';
    const picture = i % 2 === 0 ? image : await (await fetch(image)).blob();
    for await (const piece of model.generate({ image: picture, prompt, maxNewTokens: 40 })) said += piece;
    answers.push(said);
  }
  return answers;
}

/** What loading ends with, by name; `abort` ends it when the first weights have come, `weights` when the last have. */
export async function failure(bundle: string, how: 'load' | 'abort' | 'weights'): Promise<string> {
  const stop = new AbortController();
  const onProgress: LoadOptions['onProgress'] = ({ loaded, total }) => {
    if (how === 'abort' || (how === 'weights' && loaded === total)) stop.abort(new Error('enough'));
  };
  try {
    await (await load(bundle, { cache: how === 'weights', signal: stop.signal, onProgress })).dispose();
    return 'no error';
  } catch (error) {
    return error instanceof Error
      ? `${error.name} ${(error as { code?: string }).code ?? error.message}`
      : String(error);
  }
}

/** The device is lost while tokens are made; then everything is loaded again and made again. */
export async function loseDevice({
  rows,
  pictures,
  steps,
}: PageCase): Promise<{ readonly error: string; readonly tokens: readonly (number | undefined)[] }> {
  const decode = async () => {
    const images = [];
    for (const picture of pictures) images.push(await model.encodePixels(Float32Array.from(picture)));
    await model.prefill({ rows, images, maxNewTokens: steps });
    return model.decode({ stopTokenIds: [], ahead: 1 });
  };
  let error = 'no error';
  try {
    for await (const _ of await decode()) devices.at(-1)!.destroy();
  } catch (caught) {
    error = (caught as { code?: string }).code ?? String(caught);
  }
  await model.recover();
  const tokens: (number | undefined)[] = [];
  for await (const [token] of await decode()) tokens.push(token);
  return { error, tokens };
}
