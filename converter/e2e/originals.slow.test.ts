import { expect, it } from 'vitest';
import { ORIGINALS } from '../testing/originals.ts';
import { recordedBundles } from '../testing/recorded_bundles.ts';

/* As originals.test.ts, in the backends that take a GPU or much time. */

const { converted } = recordedBundles();

const CASES = ORIGINALS.flatMap((original) => (['tfjs', 'wgsl'] as const).map((backend) => ({ ...original, backend })));

it.each(CASES)(
  '$recording: $backend fp32 is what $engine says',
  async ({ fixture, engine, checkpoint, recording, backend }) => {
    const { original } = await converted(fixture, backend, 'fp32', { checkpoint, against: recording });
    expect(original).toMatchObject({ passed: true, recorded: { engine, checkpoint } });
    expect(original!.checks.length).toBeGreaterThan(4);
  },
);
