import { expect, test } from 'vitest';
import { installedKernels } from './installed.ts';
import { kernelTable } from './kernel_table.ts';

// in a process of its own: tfjs's registry has what any other test of the process registered, too
test('the table is that of the installed packages', async () => {
  expect(kernelTable, 'npm run generate:tfjs-kernels').toEqual(await installedKernels());
});
