import { expect, test } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { backendNames, findBackend } from '../../backends/find_backend.ts';
import { installLine, requirePackages } from './require_runtime.ts';

const backendOf = (packages: readonly string[]) => ({ packages: () => packages }) as unknown as Backend;

test('all packages that are missing are named at once, with the line that installs them', () => {
  const needed = [backendOf(['zod', 'pgconv-absent-a']), backendOf(['pgconv-absent-b', 'pgconv-absent-a'])];
  expect(() => requirePackages(needed)).toThrow(
    expect.objectContaining({
      code: 'runtime-missing',
      message: 'the packages pgconv-absent-a, pgconv-absent-b are not installed',
      place: { hint: 'npm install pgconv-absent-a pgconv-absent-b' },
    }),
  );
});

test('onnxruntime-node is installed without its download', () => {
  expect(installLine(['onnxruntime-node', 'webgpu'])).toBe(
    'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node webgpu',
  );
});

test('the packages of every backend and device are those that are installed here', async () => {
  for (const name of backendNames()) {
    const backend = await findBackend(name);
    for (const device of backend.devices) expect(() => requirePackages([backend], device)).not.toThrow();
  }
});
