import {
  AutoProcessor,
  env,
  PaliGemmaForConditionalGeneration,
  RawImage,
  type PaliGemmaProcessor,
  type Tensor,
} from '@huggingface/transformers';
import { verifiedCache, verifiedFetch, type ResponseCache } from '../../backends/client/integrity/index.ts';

/*
 * What runs in a page for transformers_js.browser.test.ts: transformers.js with pgconv/integrity, as the README of an
 * ONNX bundle has it. Bundles are served at /models/<name>/, files of ONNX Runtime at /ort/.
 */

const CACHE = 'models';
declare const caches: {
  open(name: string): Promise<ResponseCache & { keys(): Promise<readonly Request[]> }>;
  delete(name: string): Promise<boolean>;
};
declare function addEventListener(type: string, listener: (event: Event) => void): void;

// transformers.js leaves the failure of a file of weights to nobody
addEventListener('unhandledrejection', (event) => event.preventDefault());

export interface Question {
  readonly image: string;
  readonly prompt: string;
}

/** The answer, or what was thrown, by its fields. */
export type Outcome =
  | { readonly answer: string }
  | { readonly error: { readonly name: string; readonly code: unknown; readonly message: string } };

export async function ask(name: string, { image, prompt }: Question): Promise<Outcome> {
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useWasmCache = false;
  env.backends.onnx.wasm!.wasmPaths = '/ort/';
  try {
    const fetch = await verifiedFetch(`/models/${name}/`);
    env.fetch = fetch;
    env.useCustomCache = true;
    env.customCache = await verifiedCache(`/models/${name}/`, await caches.open(CACHE));
    const processor = (await fetch.orFail(AutoProcessor.from_pretrained(name))) as PaliGemmaProcessor;
    const model = await fetch.orFail(
      PaliGemmaForConditionalGeneration.from_pretrained(name, { device: 'wasm', dtype: 'fp32' }),
    );
    const inputs = (await processor(await RawImage.read(image), `<image>${prompt}`)) as { input_ids: Tensor };
    const ids = (await model.generate({ ...inputs, max_new_tokens: 20 })) as Tensor;
    const [answer] = processor.batch_decode(ids.slice(null, [inputs.input_ids.dims.at(-1)!, ids.dims.at(-1)!]), {
      skip_special_tokens: true,
    });
    await model.dispose();
    return { answer: answer! };
  } catch (error) {
    const { name: kind, code, message } = error as Error & { readonly code?: unknown };
    return { error: { name: kind, code, message } };
  }
}

/** Addresses of what is kept. */
export async function kept(): Promise<readonly string[]> {
  return (await (await caches.open(CACHE)).keys()).map(({ url }) => new URL(url).pathname);
}

export async function forget(): Promise<void> {
  await caches.delete(CACHE);
}

/** Flips a bit of what is kept. */
export async function spoil(path: string): Promise<void> {
  const cache = await caches.open(CACHE);
  const data = new Uint8Array(await (await cache.match(path))!.arrayBuffer());
  data[data.length >> 1]! ^= 16;
  await cache.put(path, new Response(data));
}
