import { writeFile } from 'node:fs/promises';
import { installedKernels } from './installed.ts';

/*
 * `npm run generate:tfjs-kernels`: writes kernel_table.json from the packages that are installed. Not part of what is
 * published.
 */
await writeFile('backends/tfjs/check/kernel_table.json', `${JSON.stringify(await installedKernels(), undefined, 1)}\n`);
