import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Found } from './found.ts';
import type { Variables } from './software_gpu.ts';

/**
 * What a process sets before its first use of WebGPU to get a software GPU with `shader-f16`: lavapipe, where
 * fetch_lavapipe.sh has put it. SwiftShader, which all other tests run on, has no f16. Only the driver is another: the
 * loader is that of the software GPU. `PGCONV_GPU=system` takes the machine's own GPU here too.
 */
export function f16Gpu(environment: NodeJS.ProcessEnv = process.env): Found<Variables> {
  if (environment['PGCONV_GPU'] === 'system') return { value: {} };
  const icd = join(folderOf(environment), 'lvp.json');
  return existsSync(icd)
    ? { value: { VK_DRIVER_FILES: icd } }
    : { missing: 'no software GPU with shader-f16 is here: verify/environment/fetch_lavapipe.sh fetches one (Debian)' };
}

/**
 * LD_LIBRARY_PATH with what lavapipe needs beyond the system's libraries. It counts from a process's start: set it
 * before forking workers.
 */
export function withF16Libraries(environment: NodeJS.ProcessEnv = process.env): string {
  const folder = join(folderOf(environment), 'lib');
  return [
    ...(environment['LD_LIBRARY_PATH'] ?? '').split(':').filter((path) => path !== '' && path !== folder),
    folder,
  ].join(':');
}

/** As fetch_lavapipe.sh has it. */
function folderOf(environment: NodeJS.ProcessEnv): string {
  return join(environment['XDG_CACHE_HOME'] || join(environment['HOME'] || homedir(), '.cache'), 'pgconv', 'lavapipe');
}
