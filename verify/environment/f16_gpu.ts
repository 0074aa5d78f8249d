import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Found } from '../../backends/gpu/found.ts';
import { lavapipeFolder } from '../../backends/gpu/software_driver.ts';
import type { Variables } from './software_gpu.ts';

/**
 * What a process sets before its first use of WebGPU to get a software GPU with `shader-f16`: lavapipe, where
 * fetch_lavapipe.sh has put it. SwiftShader, which all other tests run on, has no f16. Only the driver is another: the
 * loader is that of the software GPU. `PGCONV_GPU=system` takes the machine's own GPU here too.
 */
export function f16Gpu(environment: NodeJS.ProcessEnv = process.env): Found<Variables> {
  if (environment['PGCONV_GPU'] === 'system') return { value: {} };
  const icd = join(lavapipeFolder(environment), 'lvp.json');
  return existsSync(icd)
    ? { value: { VK_DRIVER_FILES: icd } }
    : { missing: 'no software GPU with shader-f16 is here: verify/environment/fetch_lavapipe.sh fetches one (Debian)' };
}

/**
 * LD_LIBRARY_PATH with what lavapipe needs beyond the system's libraries. It counts from a process's start: set it
 * before forking workers.
 */
export function withF16Libraries(environment: NodeJS.ProcessEnv = process.env): string {
  const folder = join(lavapipeFolder(environment), 'lib');
  return [
    ...(environment['LD_LIBRARY_PATH'] ?? '').split(':').filter((path) => path !== '' && path !== folder),
    folder,
  ].join(':');
}
