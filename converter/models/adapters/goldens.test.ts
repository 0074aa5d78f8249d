import { readFile } from 'node:fs/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import { readRows, readTensor, type TensorData } from '../../../ir/tensor.ts';
import { sliceRows } from '../../../ir/views/select.ts';
import { readRecorded } from '../../../verify/recorded.ts';
import { runCase } from '../../../verify/run_case.ts';
import { openCheckpoint } from '../../checkpoints/index.ts';
import { openSafetensors } from '../../checkpoints/safetensors.ts';
import { loadModel } from '../index.ts';
import { readCheckpoint } from '../paligemma.ts';
import { canonicalNames } from '../paligemma/hugging_face.ts';
import { normalizeName } from '../paligemma/hugging_face_names.ts';
import type { Adapter } from './adapter.ts';
import { applyAdapters, openAdapter, type AdaptedWeights } from './index.ts';

/** What fixtures/reference/adapters.py wrote down of PEFT. */
interface Case {
  readonly base: string;
  readonly adapters: readonly string[];
  readonly scale: number;
  readonly norms: Readonly<Record<string, number>>;
  readonly same_as?: string;
}
const FOLDER = 'fixtures/adapters';
const cases = Object.entries(JSON.parse(await readFile(`${FOLDER}/cases.json`, 'utf8')) as Record<string, Case>);

/**
 * PEFT sums r products in f32, rounds, scales, rounds, adds, rounds; DoRA takes a norm and a quotient in f32 on top.
 * Here all is f64 until the end. Both are within a few units in the last place of the largest element of a row.
 */
const ULPS_OF_ROW = 4;
/** Sums of squares of f32 differences, each off by rounding of the weights it is between. */
const NORM_TOLERANCE = 2e-6;
/**
 * Two f32 implementations of the whole model on the same weights to a few ulp: what the parity tests of the base allow.
 */
const LOGITS_TOLERANCE = 2e-5;

const open: { close(): Promise<void> }[] = [];
afterAll(async () => {
  await Promise.all(open.map((file) => file.close()));
});
async function keep<T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> {
  const file = await opening;
  open.push(file);
  return file;
}

async function adaptersOf({ adapters, scale }: Case): Promise<readonly Adapter[]> {
  return Promise.all(adapters.map((name) => keep(openAdapter(`${FOLDER}/${name}`, { scale }))));
}

async function apply(checkpoint: string, recorded: Case) {
  const { weights, config } = readCheckpoint(await keep(openCheckpoint(`fixtures/${recorded.base}/${checkpoint}`)));
  const names = canonicalNames(config);
  const canonicalName = (parameter: string) => names.get(normalizeName(parameter));
  return {
    base: weights,
    canonicalName,
    ...(await applyAdapters(weights, await adaptersOf(recorded), canonicalName, config)),
  };
}

/** The largest difference. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

function weightOf({ weights }: Pick<AdaptedWeights, 'weights'>, name: string | undefined): TensorData {
  return (weights.get(name ?? '') ?? (name === 'lm.head' ? weights.get('lm.embed') : undefined))!;
}

describe.each(cases)('the adapter %s', (name, recorded) => {
  const golden = () => keep(openSafetensors(`${FOLDER}/${recorded.same_as ?? name}/golden.safetensors`));

  test.each(['hf', 'bv_f32.npz'])('merges into %s as PEFT merges it', async (checkpoint) => {
    const adapted = await apply(checkpoint, recorded);
    const { tensors } = await golden();
    const merged = [...tensors].filter(([key]) => key.startsWith('merged/'));
    expect(merged.map(([key]) => key.slice('merged/'.length))).toEqual(Object.keys(recorded.norms));
    for (const [key, rows] of merged) {
      const data = weightOf(adapted, adapted.canonicalName(key.slice('merged/'.length)));
      expect(data.shape.slice(1)).toEqual(rows.shape.slice(1));
      const height = data.shape[0]!;
      const want = (await readTensor(rows)).data;
      const width = want.length / 3;
      for (const [i, row] of [0, Math.floor(height / 2), height - 1].entries()) {
        const ours = (await readRows(data, row, row + 1)).data;
        const theirs = want.subarray(i * width, (i + 1) * width);
        expect(apart(ours, theirs), `${key} row ${row}`).toBeLessThanOrEqual(
          ULPS_OF_ROW * 2 ** -23 * apart(theirs, new Float32Array(width)),
        );
      }
    }
    // Nothing else moved.
    const changed = new Set(Object.keys(recorded.norms).map(adapted.canonicalName));
    for (const [weight, data] of adapted.base)
      if (!changed.has(weight)) expect(adapted.weights.get(weight), weight).toBe(data);
    for (const weight of adapted.weights.keys()) if (!adapted.base.has(weight)) expect(weight).toBe('lm.head');
  });

  test('reports the norm of each change', async () => {
    const { changes, canonicalName } = await apply('hf', recorded);
    if (recorded.adapters.length > 1)
      return expect(new Set(changes.map(({ adapter }) => adapter))).toEqual(new Set(recorded.adapters));
    const byWeight = new Map<string, number>();
    for (const { weight, norm } of changes) byWeight.set(weight, norm);
    expect(new Set(byWeight.keys())).toEqual(new Set(Object.keys(recorded.norms).map(canonicalName)));
    for (const [parameter, norm] of Object.entries(recorded.norms))
      expect(Math.abs(byWeight.get(canonicalName(parameter)!)! / norm - 1), parameter).toBeLessThan(NORM_TOLERANCE);
  });

  test('gives the model that PEFT’s adapted model is', async () => {
    const checkpoint = await keep(openCheckpoint(`fixtures/${recorded.base}/hf`));
    const { program, changes } = await loadModel(checkpoint, { adapters: await adaptersOf(recorded) });
    expect(changes.length).toBeGreaterThan(0);
    const inputs = (await keep(openSafetensors(`fixtures/${recorded.base}/golden.safetensors`))).tensors;
    const { tensors } = await golden();
    const recording = new Map(
      [...inputs]
        .filter(([key]) => !key.includes('gen_') && !key.startsWith('padded_'))
        .map(([key, data]) => [key, sliceRows(data, 0, 1)] as const),
    );
    for (const key of ['logits', 'image_features']) recording.set(key, tensors.get(key)!);
    const {
      cases: [verifyCase],
      reference,
    } = await readRecorded(recording);
    const ours = await runCase(
      { runner: evaluatorRunner(program), metadata: program.metadata },
      { ...verifyCase!, maxNewTokens: 0 },
    );
    const theirs = reference.outcomes.get('recorded')!;
    for (const output of ['imageFeatures', 'prefillLogits', 'suffixLogits'] as const) {
      expect(apart(ours[output]!.data, theirs[output]!.data), output).toBeLessThan(LOGITS_TOLERANCE);
    }
  });
});
