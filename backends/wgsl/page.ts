import { asBackendError } from '../as_backend_error.ts';
import type { PageModule } from '../browser/page/main.ts';
import { WgslRunner } from './runner.ts';
import { readBundle } from './runtime/load.ts';

/** Graphs of a bundle in `pgconv/runtime`, as it runs them in a user's page. */
export const open: PageModule['open'] = async ({ bundle }) => {
  // nothing that is to be verified comes from a cache
  const { model, info, dispose } = await readBundle(bundle, undefined, { cache: false })
    .then((read) => read.start())
    .catch((error: unknown) => {
      throw asBackendError(error);
    });
  return new WgslRunner(model.executor, `pgconv/runtime on webgpu ${info.adapter}`, dispose);
};
