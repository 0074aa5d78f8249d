import {
  AutoProcessor,
  env,
  PaliGemmaForConditionalGeneration,
  RawImage,
  type PaliGemmaProcessor,
  type Tensor,
} from '@huggingface/transformers';
import * as ort from 'onnxruntime-web/wasm';
import type { DrawingContext } from '../../backends/client/answers/draw_objects.ts';
import { drawObjects, parseAnswer } from '../../backends/client/answers/index.ts';

/*
 * What runs in a page for segments.browser.test.ts: transformers.js answers, the mask decoder is a session of
 * onnxruntime-web, and pgconv/answers does the rest, as the README of an ONNX bundle has it. The bundle is served at
 * /models/<name>/, files of the two runtimes at /ort/ and /masks-ort/.
 */

interface Canvas {
  width: number;
  height: number;
  getContext(kind: '2d'): DrawingContext & { drawImage(image: unknown, ...place: readonly number[]): void };
  toDataURL(): string;
}
declare const document: { createElement(name: 'canvas'): Canvas };
declare function createImageBitmap(blob: Blob): Promise<object>;

/** Pixels of the drawing for one of the picture: names are readable. */
const SCALE = 4;

/** The picture with what the answer says, as a PNG in a data URL, and the answer. */
export async function drawAnswer(
  name: string,
  { image, prompt }: { readonly image: string; readonly prompt: string },
): Promise<{ readonly text: string; readonly picture: string }> {
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useWasmCache = false;
  env.backends.onnx.wasm!.wasmPaths = '/ort/';
  const processor = (await AutoProcessor.from_pretrained(name)) as PaliGemmaProcessor;
  const model = await PaliGemmaForConditionalGeneration.from_pretrained(name, { device: 'wasm', dtype: 'fp32' });
  const inputs = (await processor(await RawImage.read(image), `<image>${prompt}`)) as { input_ids: Tensor };
  const ids = (await model.generate({ ...inputs, max_new_tokens: 40 })) as Tensor;
  const answer = ids.slice(null, [inputs.input_ids.dims.at(-1)!, ids.dims.at(-1)!]);
  const text = processor.batch_decode(answer, { skip_special_tokens: true })[0]!;
  await model.dispose();

  ort.env.wasm.wasmPaths = '/masks-ort/';
  const objects = parseAnswer(text).objects.filter(({ codes }) => codes);
  const decoder = await ort.InferenceSession.create(`/models/${name}/onnx/mask_decoder.onnx`, {
    externalData: [{ path: 'mask_decoder.onnx_data', data: `/models/${name}/onnx/mask_decoder.onnx_data` }],
  });
  const codes = new ort.Tensor('int32', Int32Array.from(objects.flatMap((object) => object.codes!)), [
    objects.length,
    16,
  ]);
  const { masks } = await decoder.run({ codes });
  const data = masks!.data as Float32Array;
  const size = 64 * 64;

  const bitmap = await createImageBitmap(await (await fetch(image)).blob());
  const { width, height } = bitmap as { readonly width: number; readonly height: number };
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [SCALE * width, SCALE * height];
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  drawObjects(
    context,
    objects.map((object, i) => ({ ...object, mask: data.subarray(i * size, (i + 1) * size) })),
  );
  return { text, picture: canvas.toDataURL() };
}
