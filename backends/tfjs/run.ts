import { asBackendError } from '../as_backend_error.ts';
import type { OpenOptions, Runner } from '../backend.ts';
import { openInPage } from '../browser/open_in_page.ts';
import { openSource } from '../client/sources/open_source.ts';
import { pageProvider } from '../devices.ts';
import { nodeDevice } from '../node_device.ts';
import { Engine } from './driver/engine.ts';
import { client } from './client.ts';
import { DEVICES, tfBackend } from './devices.ts';
import { nodeTfjs } from './node_tfjs.ts';
import { PLAN_PATH } from './plan.ts';
import { TfjsRunner } from './runner.ts';

/** Opens a bundle in tfjs, by the driver that browsers have. @throws BackendError */
export async function open(dir: string, { device = DEVICES[0], browser }: OpenOptions = {}): Promise<Runner> {
  const provider = pageProvider(device);
  if (provider) return openInPage(dir, client, { device, provider, browser });
  const backend = tfBackend(device);
  const tf = await nodeTfjs(backend);
  const engine = await Engine.load(tf, openSource(dir, PLAN_PATH)).catch((error: unknown) => {
    throw asBackendError(error, { file: dir });
  });
  const facts = await nodeDevice(device, backend === 'webgpu');
  return new TfjsRunner(engine, `tfjs ${tf.version_core} ${backend}`, async () => {}, facts);
}
