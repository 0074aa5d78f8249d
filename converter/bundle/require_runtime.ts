import { createRequire } from 'node:module';
import type { Backend } from '../../backends/backend.ts';
import { BackendError } from '../../backends/error.ts';

const { resolve } = createRequire(import.meta.url);

/**
 * Every package that is missing is named at once, with the one line that installs them.
 * @throws BackendError `runtime-missing`
 */
export function requirePackages(backends: readonly Backend[], device?: string): void {
  requireInstalled([...new Set(backends.flatMap((backend) => backend.packages(device)))]);
}

/** @throws BackendError `runtime-missing` */
function requireInstalled(names: readonly string[], purpose = ''): void {
  const missing = names.filter((name) => !isHere(name));
  if (missing.length > 0)
    throw new BackendError(
      'runtime-missing',
      `${missing.length === 1 ? `the package ${missing[0]!} is` : `the packages ${missing.join(', ')} are`} not installed${purpose}`,
      { hint: installLine(missing) },
    );
}

/** 25 MB of packages that only plots need: optional peers. @throws BackendError `runtime-missing`, before the work */
export function requirePlots(): void {
  requireInstalled(['vega', 'vega-lite'], ', which draw the plots of reports');
}

/** Without the download of CUDA libraries that onnxruntime-node makes by itself on Linux. */
export function installLine(packages: readonly string[]): string {
  const quiet = packages.includes('onnxruntime-node') ? 'ONNXRUNTIME_NODE_INSTALL=skip ' : '';
  return `${quiet}npm install ${packages.join(' ')}`;
}

function isHere(name: string): boolean {
  try {
    resolve(name);
    return true;
  } catch (error) {
    // a package for `import` alone has no entry for `require`, and is there
    return (error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND';
  }
}
