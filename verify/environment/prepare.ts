import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findChromiumLibraries } from '../../backends/gpu/chromium.ts';
import { f16Gpu, withF16Libraries } from './f16_gpu.ts';
import type { Found } from '../../backends/gpu/found.ts';
import { softwareGpu, type Variables } from './software_gpu.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the environment that every test runs in. */
    readonly softwareGpu: Found<true>;
    /** What a process sets before it first uses WebGPU. */
    readonly f16Gpu: Found<Variables>;
    /** Where the browser listens; of the project `browser`. */
    readonly chromium: Found<string>;
    /** In which project of vitest.config.ts a test runs. */
    readonly project: string;
  }
}

/**
 * Runs once before all tests (vitest's `globalSetup`): finds or installs what they need, and puts the software GPU into
 * the environment that the test processes inherit. What stays missing is told to the tests that need it (see
 * requirement.ts).
 */
export default function prepare(project: TestProject): void {
  // reports of bundles that tests break are none of the job's
  delete process.env['GITHUB_STEP_SUMMARY'];
  if ('missing' in findChromiumLibraries()) installChromium();
  const gpu = softwareGpu(join(project.config.root, 'node_modules', '.cache', 'pgconv'));
  if ('value' in gpu) Object.assign(process.env, gpu.value);
  project.provide('softwareGpu', 'value' in gpu ? { value: true } : gpu);
  const f16 = 'value' in gpu ? f16Gpu() : gpu;
  if ('value' in f16 && f16.value['VK_DRIVER_FILES']) process.env['LD_LIBRARY_PATH'] = withF16Libraries();
  project.provide('f16Gpu', f16);
}

/**
 * From Debian's packages, where that needs no question: as root, with apt-get at hand. `PGCONV_INSTALL=no` prevents it.
 */
function installChromium(): void {
  const root = process.getuid?.() === 0;
  if (
    !root ||
    !executable('/usr/bin/apt-get') ||
    process.env['PGCONV_INSTALL'] === 'no' ||
    process.env['PGCONV_CHROMIUM']
  )
    return;
  console.log(
    'Tests need Chromium and its software GPU: installing the Debian package (PGCONV_INSTALL=no prevents this) ...',
  );
  const apt = (...args: string[]): boolean => {
    const { status, stderr } = spawnSync('apt-get', ['-qq', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      timeout: 900_000,
    });
    if (status !== 0) console.error(`apt-get ${args.join(' ')} failed:\n${stderr}`);
    return status === 0;
  };
  if (apt('update')) apt('install', '-y', '--no-install-recommends', 'chromium');
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
