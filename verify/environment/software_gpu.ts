import { mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findChromiumLibraries } from '../../backends/gpu/chromium.ts';
import type { Found } from '../../backends/gpu/found.ts';

/** Environment variables by name. */
export type Variables = Readonly<Record<string, string>>;

/**
 * The environment in which WebGPU runs on the CPU, for `webgpu` (Dawn in Node), for onnxruntime-node's `webgpu`
 * provider and for every process that they start: SwiftShader and the Vulkan loader that come with Chromium. It is the
 * same on every machine, so it is taken even where there is a GPU; `PGCONV_GPU=system` leaves the environment alone and
 * so takes the machine's own.
 *
 * `LD_LIBRARY_PATH` counts only for processes that start later: set it before forking workers.
 * `scratch` gets the two folders that are needed: one with nothing but the loader, and a private XDG_RUNTIME_DIR.
 */
export function softwareGpu(scratch: string, environment: NodeJS.ProcessEnv = process.env): Found<Variables> {
  if (environment['PGCONV_GPU'] === 'system') return { value: {} };
  if (process.platform !== 'linux')
    return {
      missing: `no software GPU is known for ${process.platform}: set PGCONV_GPU=system to use the machine's own GPU`,
    };
  const libraries = findChromiumLibraries(environment);
  if ('missing' in libraries) return libraries;
  const loader = join(scratch, 'vulkan');
  const runtime = join(scratch, 'xdg-runtime');
  mkdirSync(loader, { recursive: true });
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  link(join(libraries.value, 'libvulkan.so.1'), join(loader, 'libvulkan.so.1'));
  const inherited = (environment['LD_LIBRARY_PATH'] ?? '').split(':').filter((path) => path !== '' && path !== loader);
  return {
    value: {
      VK_DRIVER_FILES: join(libraries.value, 'vk_swiftshader_icd.json'),
      XDG_RUNTIME_DIR: runtime,
      LD_LIBRARY_PATH: [loader, ...inherited].join(':'),
    },
  };
}

function link(target: string, path: string): void {
  try {
    if (readlinkSync(path) === target) return;
  } catch {
    // not there yet
  }
  rmSync(path, { force: true });
  symlinkSync(target, path);
}
