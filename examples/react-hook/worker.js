import * as converter from '@tensorflow/tfjs-converter';
import * as core from '@tensorflow/tfjs-core';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import simd from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threads from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import plain from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import { load } from 'pgconv/tfjs';

const at = (path) => new URL(path, location.href).href;
setWasmPaths({
  'tfjs-backend-wasm.wasm': at(plain),
  'tfjs-backend-wasm-simd.wasm': at(simd),
  'tfjs-backend-wasm-threaded-simd.wasm': at(threads),
});

const tf = { ...core, ...converter };
// its threads start from the script of a page, which a bundled worker is not
tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
let model;

onmessage = async ({ data: { bundle, image, prompt } }) => {
  try {
    if (bundle) {
      await tf.setBackend('wasm');
      const onProgress = ({ loaded, total }) => postMessage({ progress: loaded / total });
      model = await load(bundle, { tf, onProgress });
    } else {
      for await (const piece of model.generate({ image, prompt })) postMessage({ piece });
    }
    postMessage({ status: 'ready' });
  } catch (error) {
    postMessage({ status: model ? 'ready' : 'failed', error: error.message });
  }
};
