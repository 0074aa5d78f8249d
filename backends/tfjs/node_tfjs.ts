import { BackendError } from '../error.ts';
import type { Tfjs } from './driver/tfjs.ts';

/** tfjs's backends that run in Node without native code of tfjs's own. */
export const TF_BACKENDS = ['cpu', 'wasm', 'webgpu'] as const;
export type TfDevice = (typeof TF_BACKENDS)[number];

/** Packages that a backend of tfjs needs: in Node, or in a page, which has WebGPU itself. */
export function packagesFor(device: TfDevice, inPage = false): readonly string[] {
  return [
    '@tensorflow/tfjs-core',
    '@tensorflow/tfjs-converter',
    `@tensorflow/tfjs-backend-${device}`,
    ...(device === 'webgpu' && !inPage ? ['webgpu'] : []),
  ];
}

/** Dawn stops its threads when this object is collected, under a device in use as well. */
let dawn: GPU | undefined;

/**
 * tfjs with a backend in use, in Node. It has one engine a process: what runs on one backend must be done before
 * another is asked for.
 * @throws BackendError `runtime-missing`
 */
export async function nodeTfjs(device: TfDevice): Promise<Tfjs> {
  const missing = (name: string) => (cause: unknown) => {
    throw new BackendError(
      'runtime-missing',
      `tfjs on ${device} needs ${name}, which is not installed`,
      { hint: `npm install ${name}` },
      { cause },
    );
  };
  const core = await import('@tensorflow/tfjs-core').catch(missing('@tensorflow/tfjs-core'));
  const converter = await import('@tensorflow/tfjs-converter').catch(missing('@tensorflow/tfjs-converter'));
  if (device === 'webgpu') {
    await provideGpu().catch(missing('webgpu'));
    await import('@tensorflow/tfjs-backend-webgpu').catch(missing('@tensorflow/tfjs-backend-webgpu'));
  } else if (device === 'wasm')
    await import('@tensorflow/tfjs-backend-wasm').catch(missing('@tensorflow/tfjs-backend-wasm'));
  else await import('@tensorflow/tfjs-backend-cpu').catch(missing('@tensorflow/tfjs-backend-cpu'));
  if (!(await core.setBackend(device).catch(() => false)))
    throw new BackendError('runtime-missing', `tfjs has no ${device} here`, {
      hint:
        device === 'webgpu'
          ? 'use a machine with a GPU and its driver, or the device software, cpu or wasm'
          : 'use another device',
    });
  return { ...core, ...converter };
}

/** tfjs's webgpu backend asks `navigator.gpu` when it is imported. */
async function provideGpu(): Promise<void> {
  const { navigator } = globalThis as { navigator?: { readonly gpu?: GPU } };
  if (dawn || navigator?.gpu) return;
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  dawn = create([]);
  if (navigator) Object.defineProperty(navigator, 'gpu', { value: dawn, configurable: true });
  else Object.defineProperty(globalThis, 'navigator', { value: { gpu: dawn, userAgent: 'node' }, configurable: true });
}
