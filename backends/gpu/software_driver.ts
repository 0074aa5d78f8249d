import { existsSync, readdirSync } from 'node:fs';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import { BackendError } from '../error.ts';
import { findChromiumLibraries, INSTALL_CHROMIUM } from './chromium.ts';
import type { Found } from './found.ts';

/** Vulkan on the CPU: a driver, and what finds drivers. */
export interface SoftwareDriver {
  readonly name: 'SwiftShader' | 'lavapipe';
  /** What the Vulkan loader reads of the driver. */
  readonly icd: string;
  /** Libraries to load by their paths, in order; none where the system's own loader has it all. */
  readonly libraries: readonly string[];
}

/** Where systems keep drivers and the Vulkan loader. */
const ICD_FOLDERS = ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'];
const LOADER = 'libvulkan.so.1';
const LOADER_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib',
];

/** Where verify/environment/fetch_lavapipe.sh puts a newer lavapipe than Debian's own. */
export function lavapipeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment['XDG_CACHE_HOME'] || join(environment['HOME'] || homedir(), '.cache'), 'pgconv', 'lavapipe');
}

/**
 * The software GPU of this machine: Chromium's SwiftShader, which is the same everywhere, else lavapipe, which has f16
 * shaders.
 */
export function findSoftwareDriver(
  wanted: SoftwareDriver['name'] | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): Found<SoftwareDriver> {
  if (process.platform !== 'linux')
    return { missing: `no software GPU is known for ${process.platform}: use the device webgpu or cpu` };
  const chromium = findChromiumLibraries(environment);
  if (wanted !== 'lavapipe' && 'value' in chromium)
    return {
      value: {
        name: 'SwiftShader',
        icd: join(chromium.value, 'vk_swiftshader_icd.json'),
        libraries: [join(chromium.value, LOADER)],
      },
    };
  const own = join(lavapipeFolder(environment), 'lvp.json');
  const icd = existsSync(own) ? own : systemLavapipe();
  const loader = LOADER_FOLDERS.map((folder) => join(folder, LOADER)).find((path) => existsSync(path));
  const libraries = loader ? [] : 'value' in chromium ? [join(chromium.value, LOADER)] : undefined;
  if (wanted !== 'SwiftShader' && icd !== undefined && libraries)
    return { value: { name: 'lavapipe', icd, libraries: [...libraries, ...(icd === own ? besides(own) : [])] } };
  return { missing: `no software GPU is here: neither SwiftShader, which comes with Chromium, nor Mesa's lavapipe` };
}

function systemLavapipe(): string | undefined {
  for (const folder of ICD_FOLDERS) {
    const file = existsSync(folder) ? readdirSync(folder).find((name) => /^lvp_icd.*\.json$/.test(name)) : undefined;
    if (file !== undefined) return join(folder, file);
  }
  return undefined;
}

/** Libraries that were put beside a driver, because the system lacks them. */
function besides(icd: string): readonly string[] {
  const folder = join(icd, '..', 'lib');
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name !== 'libvulkan_lvp.so')
        .map((name) => join(folder, name))
    : [];
}

/** glibc's: what is loaded stays, though it is no addon of Node's. */
const RTLD_NODELETE = 0x1000;

let taken: SoftwareDriver | undefined;

/**
 * Makes this process's WebGPU, by whatever package, run on the CPU. It counts for instances of WebGPU that are made
 * later; a process has one driver.
 * @throws BackendError `runtime-missing` with the line that installs one
 */
export function useSoftwareDriver(wanted?: SoftwareDriver['name']): SoftwareDriver {
  if (taken && (wanted === undefined || taken.name === wanted)) return taken;
  const found = findSoftwareDriver(wanted);
  if ('missing' in found)
    throw new BackendError('runtime-missing', found.missing, {
      hint: wanted === 'lavapipe' ? 'apt-get install -y mesa-vulkan-drivers libvulkan1' : INSTALL_CHROMIUM,
    });
  for (const library of preloaded(found.value.libraries)) load(library);
  process.env['VK_DRIVER_FILES'] = found.value.icd;
  return (taken = found.value);
}

/** In the order in which they need each other, which is not known: each is tried as often as there are. */
function preloaded(libraries: readonly string[]): readonly string[] {
  return libraries.flatMap(() => libraries);
}

/**
 * Loads a library by its path, so that a later `dlopen` of its name finds it: LD_LIBRARY_PATH counts from a process's
 * start only. Node says that it is no addon, which is true, and it stays loaded.
 */
function load(path: string): void {
  try {
    process.dlopen({ exports: {} }, path, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | RTLD_NODELETE);
  } catch {
    // whether it is there shows when WebGPU looks for a driver
  }
}
