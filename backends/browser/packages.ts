import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BackendError } from '../error.ts';

const { resolve } = createRequire(import.meta.url);

/** The folder of a package that is installed. @throws BackendError `runtime-missing` */
export function packageFolder(name: string): string {
  let folder: string;
  try {
    folder = dirname(resolve(name));
  } catch (cause) {
    throw new BackendError(
      'runtime-missing',
      `the package ${name} is not installed`,
      { hint: `npm install ${name}` },
      { cause },
    );
  }
  // some do not export their package.json; folders within may have one of their own
  const root = folder.lastIndexOf(join('node_modules', name));
  return root < 0 ? folder : folder.slice(0, root + join('node_modules', name).length);
}

/** The folder of pgconv as it is built, which browsers can load. @throws BackendError where it was not */
export function builtFolder(): string {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  // this file is in it, unless sources run as they are
  const built = import.meta.url.endsWith('.ts') ? join(root, 'dist') : root;
  if (existsSync(join(built, 'backends/browser/page/main.js'))) return built;
  throw new BackendError('runtime-missing', 'pgconv is not built: a page cannot load its sources', {
    file: built,
    hint: 'npm run build',
  });
}
