import { expect } from 'vitest';
import { backendNames, findBackend } from '../../backends/find_backend.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import type { Finding } from '../compile/examine.ts';
import { pgconv } from '../testing/command_line.ts';
import { printedOutput } from '../testing/printed_output.ts';

itOnGpu('every device of every backend is named, with the GPU, and what each missing thing costs', async () => {
  const { code, out } = await pgconv('doctor', '--json');
  expect(code).toBe(0);
  const { findings } = printedOutput(out, 'doctor') as { readonly findings: readonly Finding[] };
  const backends = await Promise.all(backendNames().map(findBackend));
  for (const { name, devices } of backends)
    for (const device of devices) expect(findings.map(({ what }) => what)).toContain(`${name} on ${device}`);
  for (const { what, state, costs } of findings) expect(costs === undefined, what).toBe(state === 'there');
  expect(findings.find(({ what }) => what === 'wgsl on webgpu')?.detail).toMatch(
    /llvmpipe|SwiftShader|GPU|nvidia|amd|intel/i,
  );
  const told = await pgconv('doctor');
  for (const { what, costs } of findings) {
    expect(told.out).toContain(what);
    if (costs !== undefined) expect(told.out).toContain(costs);
  }
});
