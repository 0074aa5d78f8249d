import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Found } from './found.ts';

const EXECUTABLES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/opt/google/chrome/chrome',
  '/snap/bin/chromium',
  '/usr/bin/microsoft-edge',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const LIBRARY_FOLDERS = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/usr/lib64/chromium-browser',
  '/opt/google/chrome',
];

/** What installs a browser, and with it a software GPU: one line. */
export const INSTALL_CHROMIUM =
  process.platform === 'linux' ? 'apt-get install -y chromium' : 'install Google Chrome from google.com/chrome';

/** The browser named by `PGCONV_CHROMIUM`, else the system's. */
export function findChromium(environment: NodeJS.ProcessEnv = process.env): Found<string> {
  const named = environment['PGCONV_CHROMIUM'];
  if (named)
    return existsSync(named) ? { value: named } : { missing: `PGCONV_CHROMIUM names ${named}, which does not exist` };
  const executable = EXECUTABLES.find((path) => existsSync(path));
  return executable
    ? { value: executable }
    : {
        missing: 'no Chromium was found: install it (Debian: apt-get install chromium) or name one in PGCONV_CHROMIUM',
      };
}

/** The folder with Chromium's own Vulkan loader and SwiftShader, a Vulkan driver that needs no GPU. */
export function findChromiumLibraries(environment: NodeJS.ProcessEnv = process.env): Found<string> {
  const chromium = findChromium(environment);
  if ('missing' in chromium) return chromium;
  const folders = [dirname(realpathSync(chromium.value)), ...LIBRARY_FOLDERS];
  const folder = folders.find((path) =>
    ['vk_swiftshader_icd.json', 'libvk_swiftshader.so', 'libvulkan.so.1'].every((file) => existsSync(join(path, file))),
  );
  return folder
    ? { value: folder }
    : {
        missing: `${chromium.value} comes without SwiftShader (vk_swiftshader_icd.json, libvulkan.so.1): install Debian's chromium`,
      };
}
