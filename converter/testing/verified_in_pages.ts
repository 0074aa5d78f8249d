import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { reportText } from '../../verify/report.ts';
import { convert } from '../compile/convert.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';

/** Compiling shaders takes most of it. */
const TIMEOUT = 600_000;

/** Backend, fixture, device, and what the report says of the client. */
type Run = readonly [backend: string, fixture: string, device: string, client: RegExp];

/** Tests of `verify --device browser`: every case and check, in a page, by the clients that users have. */
export function verifiedInPages(runs: readonly Run[]): void {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pgconv-devices-'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));
  for (const [backend, fixture, device, client] of runs)
    itInChromium(
      `${backend}: ${fixture} verified on ${device}`,
      async () => {
        const out = join(root, `${backend}-${device.replace(':', '-')}`);
        await convert(
          { checkpoint: `fixtures/${fixture}/hf`, backend, precision: 'fp32', out, verify: false },
          silentReporter,
        );
        const against = `fixtures/${fixture}/golden.safetensors`;
        const report = await verifyBundle({ bundle: out, against, device }, silentReporter);
        expect(report.passed, reportText(report)).toBe(true);
        expect(report.candidate).toMatch(client);
        expect(report.checks.length).toBeGreaterThan(10);
        const { device: where } = report;
        expect(where).toMatchObject({ name: device, host: expect.stringMatching(/\d+\.\d+/) as string });
        if (device === 'browser') expect(where!.gpu).toMatchObject({ vendor: 'google', software: true });
        else expect(where!.gpu).toBeUndefined();
        expect(reportText(report)).toMatch(/^device: browser.*Chrom/m);
      },
      TIMEOUT,
    );
}
