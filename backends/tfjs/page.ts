import { asBackendError } from '../as_backend_error.ts';
import type { PageModule } from '../browser/page/main.ts';
import { openSource } from '../client/sources/open_source.ts';
import { BackendError } from '../error.ts';
import { Engine } from './driver/engine.ts';
import type { Tfjs } from './driver/tfjs.ts';
import { PLAN_PATH } from './plan.ts';
import { TfjsRunner } from './runner.ts';

/** What tfjs's scripts leave in a page. */
interface TfjsPage {
  readonly tf: Tfjs & { readonly wasm?: { setWasmPaths(folder: string): void } };
}

/** Graphs of a bundle in tfjs, by the driver of `pgconv/tfjs`, as in a user's page. */
export const open: PageModule['open'] = async ({ bundle, packages, provider }) => {
  const { tf } = globalThis as unknown as TfjsPage;
  tf.wasm?.setWasmPaths(`${packages}@tensorflow/tfjs-backend-wasm/wasm-out/`);
  if (!(await tf.setBackend(provider).catch(() => false)))
    throw new BackendError('no-webgpu', `tfjs has no ${provider} in this browser`, {
      hint: 'use the device browser:wasm, cpu or wasm',
    });
  const engine = await Engine.load(tf, openSource(bundle, PLAN_PATH)).catch((error: unknown) => {
    throw asBackendError(error);
  });
  return new TfjsRunner(engine, `tfjs ${tf.version_core} ${provider}`, async () => {});
};
