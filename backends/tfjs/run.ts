import { asBackendError } from '../as_backend_error.ts';
import type { OpenOptions, Runner } from '../backend.ts';
import { openSource } from '../client/sources/open_source.ts';
import { BackendError } from '../error.ts';
import { Engine } from './driver/engine.ts';
import { DEVICES, nodeTfjs } from './node_tfjs.ts';
import { PLAN_PATH } from './plan.ts';
import { TfjsRunner } from './runner.ts';

/** Opens a bundle in tfjs, by the driver that browsers have. @throws BackendError */
export async function open(dir: string, { device = DEVICES[0] }: OpenOptions = {}): Promise<Runner> {
  const known = DEVICES.find((name) => name === device);
  if (!known)
    throw new BackendError('unsupported', `the tfjs backend has no device "${device}"`, {
      hint: `choose ${DEVICES.join(' or ')}`,
    });
  const tf = await nodeTfjs(known);
  const engine = await Engine.load(tf, openSource(dir, PLAN_PATH)).catch((error: unknown) => {
    throw asBackendError(error, { file: dir });
  });
  return new TfjsRunner(engine, `tfjs ${tf.version_core} ${known}`, async () => {});
}
