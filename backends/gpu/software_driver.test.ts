import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findSoftwareDriver } from './software_driver.ts';

let dir: string;
let environment: NodeJS.ProcessEnv;

/** A folder that looks like Chromium's, and a lavapipe as fetch_lavapipe.sh leaves it. */
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pgconv-driver-'));
  mkdirSync(join(dir, 'chromium'));
  for (const file of ['chromium', 'vk_swiftshader_icd.json', 'libvk_swiftshader.so', 'libvulkan.so.1'])
    writeFileSync(join(dir, 'chromium', file), '');
  mkdirSync(join(dir, 'cache/pgconv/lavapipe/lib'), { recursive: true });
  for (const file of ['lvp.json', 'lib/libvulkan_lvp.so', 'lib/libLLVM.so.19'])
    writeFileSync(join(dir, 'cache/pgconv/lavapipe', file), '');
  environment = { PGCONV_CHROMIUM: join(dir, 'chromium/chromium'), XDG_CACHE_HOME: join(dir, 'cache') };
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('findSoftwareDriver', () => {
  beforeEach((context) => {
    if (process.platform !== 'linux') context.skip('software GPUs are known for Linux');
  });

  it('takes SwiftShader with the loader that lies beside it', () => {
    const swiftshader = {
      name: 'SwiftShader',
      icd: join(dir, 'chromium/vk_swiftshader_icd.json'),
      libraries: [join(dir, 'chromium/libvulkan.so.1')],
    };
    expect(findSoftwareDriver(undefined, environment)).toEqual({ value: swiftshader });
    expect(findSoftwareDriver('SwiftShader', environment)).toEqual({ value: swiftshader });
  });

  it('takes lavapipe where it is asked for, with the libraries that were put beside it', () => {
    const found = findSoftwareDriver('lavapipe', environment);
    expect(found).toMatchObject({ value: { name: 'lavapipe', icd: join(dir, 'cache/pgconv/lavapipe/lvp.json') } });
    const libraries = 'value' in found ? found.value.libraries : [];
    expect(libraries).toContain(join(dir, 'cache/pgconv/lavapipe/lib/libLLVM.so.19'));
    expect(libraries.join()).not.toContain('libvulkan_lvp');
  });

  it('says what is missing', () => {
    const nothing = { PGCONV_CHROMIUM: '/nowhere', XDG_CACHE_HOME: '/nowhere' };
    expect(findSoftwareDriver('SwiftShader', nothing)).toEqual({ missing: expect.stringContaining('SwiftShader') });
  });
});
