import type * as Core from '@tensorflow/tfjs-core';
import type * as Converter from '@tensorflow/tfjs-converter';

/** Where tests compute. */
export type Device = 'cpu' | 'wasm' | 'webgpu';

export interface Engine {
  readonly tf: typeof Core;
  readonly converter: typeof Converter;
}

/** Dawn stops its threads when this object is collected, under a device in use as well. */
let gpu: GPU | undefined;

/** tfjs with one of its backends in use; it has one engine a process. */
export async function testEngine(device: Device): Promise<Engine> {
  const [tf, converter] = [await import('@tensorflow/tfjs-core'), await import('@tensorflow/tfjs-converter')];
  if (device === 'webgpu') {
    await provideGpu();
    await import('@tensorflow/tfjs-backend-webgpu');
  } else if (device === 'wasm') await import('@tensorflow/tfjs-backend-wasm');
  else await import('@tensorflow/tfjs-backend-cpu');
  if (!(await tf.setBackend(device))) throw new Error(`tfjs has no ${device} here`);
  return { tf, converter };
}

/** tfjs looks for `navigator.gpu` when its backend is imported. */
async function provideGpu(): Promise<void> {
  if (gpu) return;
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  gpu = create([]);
  Object.defineProperty((globalThis as unknown as { navigator: object }).navigator, 'gpu', { value: gpu, configurable: true });
}
