import { expect } from 'vitest';
import { itOnF16Gpu } from './requirement.ts';

itOnF16Gpu('has shader-f16, and is lavapipe unless the machine’s own was asked for', async () => {
  const { create } = await import('webgpu');
  const adapter = await create([]).requestAdapter();
  expect(adapter?.features.has('shader-f16')).toBe(true);
  if (process.env['PGCONV_GPU'] !== 'system') expect(adapter!.info.description).toMatch(/^llvmpipe/);
});
