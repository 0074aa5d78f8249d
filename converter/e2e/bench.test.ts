import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BundleFigures, Spread } from '../compile/bench_bundles.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { pgconv } from '../testing/command_line.ts';
import { printedOutput } from '../testing/printed_output.ts';

let root: string;
let bundles: readonly string[];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-bench-'));
  bundles = [join(root, 'onnx'), join(root, 'tfjs')];
  for (const [i, backend] of ['onnx', 'tfjs'].entries())
    await convert(
      { checkpoint: 'fixtures/shapes', backend, precision: 'fp32', out: bundles[i]!, verify: false },
      silentReporter,
    );
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('figures of each bundle, in figures that fit together', async () => {
  const { code, out, err } = await pgconv('bench', ...bundles, '--runs', '3', '--tokens', '4', '--json');
  expect(code, err + out).toBe(0);
  const { bundles: figures } = printedOutput(out, 'bench') as { readonly bundles: readonly BundleFigures[] };
  expect(figures.map(({ backend, device, promptTokens }) => [backend, device, promptTokens > 49])).toEqual([
    ['onnx', 'cpu', true],
    ['tfjs', 'cpu', true],
  ]);
  for (const of of figures) {
    const spreads: Spread[] = [
      of.firstTokenSeconds,
      of.imageSeconds,
      of.prefillTokensPerSecond,
      of.decodeTokensPerSecond,
    ];
    for (const { median, least, most } of spreads) {
      expect(least).toBeGreaterThan(0);
      expect([least <= median, median <= most]).toEqual([true, true]);
    }
    expect(of.imageSeconds.least).toBeLessThan(of.firstTokenSeconds.least);
  }
}, 120_000);

test('a picture of the user’s; the table names both bundles', async () => {
  const asked = ['--image', 'fixtures/shapes/images/000.png', '--prompt', 'detect green circle'];
  const { code, out } = await pgconv('bench', ...bundles, ...asked, '--runs', '1', '--tokens', '2');
  expect(code).toBe(0);
  for (const bundle of bundles) expect(out).toContain(bundle);
  expect(out).toContain('of 1 runs of 2 tokens, by turns');
}, 120_000);

test.each([
  [['no-such-bundle'], 3, 'not_a_bundle'],
  [['x', '--prompt', 'caption en'], 2, 'no_picture'],
  [['x', '--runs', '0'], 2, 'whole number'],
  [[], 2, 'missing required argument'],
] as const)('%o: exit code %d', async (args, exitCode, message) => {
  const { code, err } = await pgconv('bench', ...args);
  expect(code).toBe(exitCode);
  expect(err).toContain(message);
});
