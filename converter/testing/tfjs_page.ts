import * as converter from '@tensorflow/tfjs-converter';
import * as core from '@tensorflow/tfjs-core';
// backends of tfjs register themselves
// oxlint-disable-next-line import/no-unassigned-import
import '@tensorflow/tfjs-backend-cpu';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
// oxlint-disable-next-line import/no-unassigned-import
import '@tensorflow/tfjs-backend-webgl';
// oxlint-disable-next-line import/no-unassigned-import
import '@tensorflow/tfjs-backend-webgpu';
import { load, type Model } from '../../backends/tfjs/driver/index.ts';
import type { PageCase, PageResult } from './page_case.ts';

/* What runs in a page for tfjs.browser.test.ts: pgconv/tfjs as a user's program has it. Results are plain data. */

const tf = { ...core, ...converter };
let model: Model;

export type PageBackend = 'cpu' | 'wasm' | 'webgl' | 'webgpu';

/** The model for what follows, on a backend of tfjs; files of wasm are served at /wasm/. */
export async function open(
  bundle: string,
  backend: PageBackend,
): Promise<{ readonly imageTokenId: number; readonly tensors: number }> {
  // a worker of a blob has no address that this could be relative to
  setWasmPaths(new URL('/wasm/', import.meta.url).href);
  if (!(await tf.setBackend(backend))) throw new Error(`no ${backend}`);
  const tensors = tf.memory().numTensors;
  model = await load(bundle, { tf });
  return { imageTokenId: model.facts.imageTokenId, tensors };
}

/** Tensors that are there afterwards. */
export function close(): number {
  model.dispose();
  return tf.memory().numTensors;
}

export async function run({ rows, pictures, steps }: PageCase): Promise<PageResult> {
  const images = [];
  const features: number[][] = [];
  for (const picture of pictures) {
    images.push(await model.encodePixels(Float32Array.from(picture)));
    features.push(Array.from(await images.at(-1)!.tensor.data<'float32'>()));
  }
  await model.prefill({ rows, images, maxNewTokens: steps });
  const logits = Array.from((await model.logits()).data);
  const tokens: (number | undefined)[][] = rows.map(() => []);
  for await (const step of model.decode({ stopTokenIds: [] })) step.forEach((token, row) => tokens[row]!.push(token));
  for (const image of images) image.dispose();
  return { features, logits, tokens };
}

/** Answers to pictures that the page fetches: by the canvas, and by the tokenizer of the bundle. */
export async function ask(
  questions: readonly { readonly image: string; readonly prompt: string }[],
): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const { image, prompt } of questions) {
    let said = '';
    for await (const piece of model.generate({ image, prompt, maxNewTokens: 40 })) said += piece;
    answers.push(said);
  }
  return answers;
}

declare function requestAnimationFrame(draw: () => void): void;

/** Frames that the page could paint while the model answered, and pieces of the answer. */
export async function paint(question: {
  readonly image: string;
  readonly prompt: string;
}): Promise<{ readonly frames: number; readonly pieces: number }> {
  let [frames, pieces, isOver] = [0, 0, false];
  const draw = () => {
    if (isOver) return;
    frames++;
    requestAnimationFrame(draw);
  };
  requestAnimationFrame(draw);
  for await (const _ of model.generate({ ...question, maxNewTokens: 40 })) pieces++;
  isOver = true;
  return { frames, pieces };
}

/** What an answer comes to that a timer aborts when the first piece is there, and how many pieces there were. */
export async function abort(question: {
  readonly image: string;
  readonly prompt: string;
}): Promise<{ readonly reason: string; readonly pieces: number }> {
  const stop = new AbortController();
  let pieces = 0;
  try {
    for await (const _ of model.generate({ ...question, maxNewTokens: 40, signal: stop.signal }))
      if (pieces++ === 0) setTimeout(() => stop.abort(new Error('the user left')));
    return { reason: 'none', pieces };
  } catch (error) {
    return { reason: (error as Error).message, pieces };
  }
}

interface PageWorker {
  addEventListener(kind: 'message', listener: (event: { readonly data: string }) => void): void;
  addEventListener(kind: 'error', listener: (event: { readonly message: string }) => void): void;
  postMessage(message: unknown): void;
  terminate(): void;
}
declare const Worker: new (address: string, options: { readonly type: 'module' }) => PageWorker;

/** The answer of a model that is loaded and asked in a worker of the page, as docs/tfjs.md shows. */
export async function askInWorker(
  bundle: string,
  backend: PageBackend,
  question: { readonly image: string; readonly prompt: string },
): Promise<string> {
  const script = `
    import { ask, open } from ${JSON.stringify(import.meta.url)};
    const answer = async ({ bundle, backend, question }) => {
      await open(bundle, backend);
      return (await ask([question]))[0];
    };
    onmessage = ({ data }) => answer(data).then(postMessage, (error) => postMessage('failed: ' + error.message));`;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), { type: 'module' });
  try {
    return await new Promise<string>((resolve, reject) => {
      worker.addEventListener('message', ({ data }) => resolve(data));
      worker.addEventListener('error', ({ message }) => reject(new Error(message)));
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origin
      worker.postMessage({ bundle, backend, question });
    });
  } finally {
    worker.terminate();
  }
}

/** What tfjs's own loader makes of a graph model at an address. */
export async function stock(
  address: string,
): Promise<{ readonly inputs: readonly string[]; readonly outputs: readonly string[] }> {
  const graph = await tf.loadGraphModel(address);
  const names = (ports: readonly { readonly name: string }[]) => ports.map(({ name }) => name);
  const found = { inputs: names(graph.inputs), outputs: names(graph.outputs) };
  graph.dispose();
  return found;
}
