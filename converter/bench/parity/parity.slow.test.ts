import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';
import { itOnGpu } from '../../../verify/environment/requirement.ts';

/* The command as users run it, built, on the software GPU. */

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-parity-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const run = promisify(execFile);

itOnGpu(
  'one command verifies fixtures on the GPU, and writes the page and all reports',
  async () => {
    const [markdown, json] = [join(root, 'page.md'), join(root, 'all.json')];
    const { stdout } = await run(process.execPath, [
      'dist/converter/bench/parity/index.js',
      ...['--fixtures', 'pg1-tiny', '--backends', 'onnx,wgsl', '--dtypes', 'int8'],
      ...['--parallel', '1', '--seconds', '900', '--markdown', markdown, '--json', json],
    ]);
    expect(stdout).toContain('3 of 3 as they should be');
    const { gpu, outcomes } = JSON.parse(await readFile(json, 'utf8')) as {
      gpu: { limits: Record<string, number> };
      outcomes: { report: { candidate: string; checks: object[] } }[];
    };
    expect(gpu.limits['maxBufferSize']).toBeGreaterThan(2 ** 20);
    expect(outcomes).toHaveLength(3);
    for (const { report } of outcomes) {
      expect(report.candidate).toMatch(/webgpu|wgsl/i);
      expect(report.checks.length).toBeGreaterThan(20);
    }
    expect(await readFile(markdown, 'utf8')).toContain('**3 of 3 bundles compute what they should.**');
  },
  1_000_000,
);
