import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';

/* A whole conversion on a machine without a GPU: it verifies by itself. What decides it is in software.gpu.test.ts. */

const TIMEOUT = 900_000;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-no-gpu-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

itOnGpu(
  'shapes in int4 shaders, converted where nothing but Chromium is, are verified on its software GPU',
  async () => {
    const { VK_DRIVER_FILES: _driver, LD_LIBRARY_PATH: _libraries, ...env } = process.env;
    const cli = join(import.meta.dirname, '../../dist/converter/cli.js');
    const args = [
      'convert',
      'fixtures/shapes',
      '--to',
      'wgsl',
      '--dtype',
      'int4',
      '--out',
      join(root, 'bundle'),
      '--json',
    ];
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [cli, ...args], { env, maxBuffer: 1 << 26 }, (_, stdout, stderr) =>
        resolve({ stdout, stderr }),
      );
    });
    expect(stderr).toContain('the software GPU of this machine computes in its place');
    const { verification } = JSON.parse(stdout) as { verification: object };
    expect(verification).toMatchObject({ passed: true, device: { name: 'software', gpu: { software: true } } });
  },
  TIMEOUT,
);
