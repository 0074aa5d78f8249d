import { expect, it } from 'vitest';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { recordedBundles } from '../testing/recorded_bundles.ts';

/* Bundles of every backend are published when the original agrees, and held to its recording afterwards. */

const { converted, recorded } = recordedBundles();

/** A recording of the checkpoint that bundles of a fixture are made of. */
async function recordingOfFixture(fixture: string): Promise<string> {
  return recorded(fixture, (await converted(fixture, 'onnx', 'fp32')).out);
}

it.each([
  ['pg1-tiny', 'onnx', 'fp16'],
  ['pg1-tiny', 'tfjs', 'fp32'],
  ['pg1-tiny', 'wgsl', 'fp32'],
  ['pg2-tiny', 'onnx', 'fp32'],
  ['pg2-tiny', 'tfjs', 'fp32'],
] as const)('%s, %s %s equals what was recorded', async (fixture, backend, precision) => {
  const against = await recordingOfFixture(fixture);
  const { out, original, verification } = await converted(fixture, backend, precision, { against });
  expect(verification).toBeUndefined();
  expect(original).toMatchObject({ passed: true, reference: against, recorded: { engine: 'big_vision' } });
  const cases = [...new Set(original!.checks.map((check) => check.case))];
  expect(cases).toEqual(['1: row 0', '2: row 1', '3: row 1, no answer']);
  expect((await verifyBundle({ bundle: out, against }, silentReporter)).passed).toBe(true);
});

it.each([
  ['pg1-tiny', 'onnx', 'int8'],
  ['pg2-tiny', 'tfjs', 'int8'],
] as const)('%s, %s %s differs by no more than its codes cost', async (fixture, backend, precision) => {
  const { original } = await converted(fixture, backend, precision, { against: await recordingOfFixture(fixture) });
  expect(original).toMatchObject({ passed: true, recorded: { engine: 'big_vision' } });
  expect(original!.original).toMatch(/recording/);
  expect(original!.reference).toBeUndefined();
});
