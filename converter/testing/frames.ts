import { expect } from 'vitest';
import type { TensorData } from '../../ir/tensor.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import { readRecorded } from '../../verify/recorded.ts';
import type { Outcome } from '../../verify/run_case.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { verifyOnDevice } from './on_device.ts';
import { recordedBundles } from './recorded_bundles.ts';
import type { Recording } from './recording.ts';
import { expectWithinRounding } from './rounding.ts';

/** Of the issue. Logits reach 5.8, and the two originals are 1.3e-5 apart. */
export const FRAMES_LIMIT = 1e-4;
/** Pictures in one prompt. */
export const FRAMES = [2, 3, 16] as const;

const ORIGINALS = ['big_vision', 'transformers'] as const;

/** What both originals say of one prompt behind several pictures: fixtures/frames. One of them decoded on from it. */
export async function readFrames(fixture: string, counts: readonly number[] = FRAMES): Promise<Recording> {
  const path = `fixtures/frames/${fixture}.safetensors`;
  const file = await openSafetensors(path);
  const cases: VerifyCase[] = [];
  const outcomes = new Map<string, Outcome>();
  try {
    for (const count of counts)
      for (const original of ORIGINALS) {
        const { cases: read, reference } = await readRecorded(
          tensorsOf(file.tensors, count, original),
          undefined,
          path,
        );
        const name = nameOf(count, original);
        for (const each of read) {
          cases.push({ ...each, name });
          outcomes.set(name, byPicture(reference.outcomes.get(each.name)!, count));
        }
      }
  } finally {
    await file.close();
  }
  return { cases, reference: { description: path, outcomes } };
}

function nameOf(count: number, original: (typeof ORIGINALS)[number]): string {
  return `${count} pictures, ${original}`;
}

/** Features are recorded as a row has them, behind each other. */
function byPicture({ imageFeatures, ...rest }: Outcome, count: number): Outcome {
  const { dtype, shape, data } = imageFeatures!;
  return { ...rest, imageFeatures: { dtype, shape: [count, shape[1]! / count, shape[2]!], data } };
}

/** Tensors of one prompt in the layout of the other goldens. */
function tensorsOf(
  all: ReadonlyMap<string, TensorData>,
  count: number,
  original: (typeof ORIGINALS)[number],
): Map<string, TensorData> {
  const prefix = `frames${count}.`;
  const own = new Map(
    [...all].flatMap(([name, data]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), data]] : [])),
  );
  if (original === 'transformers') {
    own.set('logits', own.get('hf_logits')!);
    own.delete('gen_tokens');
  }
  return own;
}

/** fp32 bundles of the tiny models, one for all tests of a file that ask for it. */
export function framesBundles(): (fixture: string, backend: string, source?: string) => Promise<string> {
  const { converted } = recordedBundles();
  const made = new Map<string, Promise<string>>();
  return (fixture, backend, source = 'hf') => {
    const checkpoint = `fixtures/${fixture}/${source}`;
    const key = `${checkpoint} ${backend}`;
    const known = made.get(key) ?? converted(fixture, backend, 'fp32', { checkpoint }).then(({ out }) => out);
    made.set(key, known);
    return known;
  };
}

/** What a bundle makes of the prompts is within the limit of both originals, on a device; and the tokens are theirs. */
export async function expectFrames(bundle: string, device: string, recording: Recording): Promise<void> {
  const report = await verifyOnDevice(bundle, device, recording);
  expect(new Set(report.checks.map((check) => check.case)).size).toBe(recording.cases.length);
  expectWithinRounding(report, FRAMES_LIMIT);
}
