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
  setWasmPaths('/wasm/');
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
