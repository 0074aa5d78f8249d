import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findChromium, findChromiumLibraries } from '../../backends/gpu/chromium.ts';
import { softwareGpu } from './software_gpu.ts';

let dir: string;
let environment: NodeJS.ProcessEnv;

/** A folder that looks like Chromium's, with a link to its executable as /usr/bin has one. */
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pgconv-gpu-'));
  mkdirSync(join(dir, 'lib'));
  for (const file of ['chromium', 'vk_swiftshader_icd.json', 'libvk_swiftshader.so', 'libvulkan.so.1'])
    writeFileSync(join(dir, 'lib', file), '');
  symlinkSync(join(dir, 'lib/chromium'), join(dir, 'chromium'));
  environment = { PGCONV_CHROMIUM: join(dir, 'chromium'), LD_LIBRARY_PATH: '/a:/b' };
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('findChromium', () => {
  it('takes the browser that is named, and says when it does not exist', () => {
    expect(findChromium(environment)).toEqual({ value: join(dir, 'chromium') });
    expect(findChromium({ PGCONV_CHROMIUM: '/nowhere' })).toEqual({
      missing: 'PGCONV_CHROMIUM names /nowhere, which does not exist',
    });
    expect(findChromiumLibraries({ PGCONV_CHROMIUM: '/nowhere' })).toEqual({
      missing: 'PGCONV_CHROMIUM names /nowhere, which does not exist',
    });
  });

  it('finds the libraries beside the executable itself', () => {
    expect(findChromiumLibraries(environment)).toEqual({ value: join(dir, 'lib') });
  });
});

describe('softwareGpu', () => {
  beforeEach((context) => {
    if (process.platform !== 'linux') context.skip('the software GPU is Chromium’s for Linux');
  });

  it('names the driver, a loader that is alone in its folder, and a private runtime folder', () => {
    const scratch = join(dir, 'scratch');
    const expected = {
      VK_DRIVER_FILES: join(dir, 'lib/vk_swiftshader_icd.json'),
      XDG_RUNTIME_DIR: join(scratch, 'xdg-runtime'),
      LD_LIBRARY_PATH: `${scratch}/vulkan:/a:/b`,
    };
    expect(softwareGpu(scratch, environment)).toEqual({ value: expected });
    expect(readlinkSync(join(scratch, 'vulkan/libvulkan.so.1'))).toBe(join(dir, 'lib/libvulkan.so.1'));
    expect(statSync(expected.XDG_RUNTIME_DIR).mode & 0o777).toBe(0o700);
    // again, in the environment that it gave
    expect(softwareGpu(scratch, { ...environment, ...expected })).toEqual({ value: expected });
  });

  it('follows Chromium to where it is now', () => {
    const scratch = join(dir, 'moved');
    mkdirSync(join(scratch, 'vulkan'), { recursive: true });
    symlinkSync('/gone/libvulkan.so.1', join(scratch, 'vulkan/libvulkan.so.1'));
    softwareGpu(scratch, environment);
    expect(readlinkSync(join(scratch, 'vulkan/libvulkan.so.1'))).toBe(join(dir, 'lib/libvulkan.so.1'));
  });

  it('leaves the environment alone for the system GPU', () => {
    expect(softwareGpu(join(dir, 'none'), { PGCONV_GPU: 'system' })).toEqual({ value: {} });
    expect(existsSync(join(dir, 'none'))).toBe(false);
  });
});
