import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../backends/client/sources/open_source.ts';
import { readBundle } from '../../backends/tfjs/driver/bundle.ts';
import { PLAN_PATH } from '../../backends/tfjs/plan.ts';
import { syntheticCases } from '../../verify/cases.ts';
import { reportText } from '../../verify/report.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { readRecording } from '../testing/recording.ts';

/*
 * Faults in the files of tfjs bundles, none of which any shape contradicts: tfjs runs every one, and the verifier must
 * say where it shows.
 */

const FIXTURE = 'fixtures/pg1-tiny';

interface ModelJson {
  readonly modelTopology: { readonly node: { readonly name: string; readonly op: string; input?: string[] }[] };
  readonly weightsManifest: readonly { readonly weights: { name: string }[] }[];
}
type Damage = (dir: string) => Promise<void>;
type MutationCase = readonly [name: string, shows: string, damage: Damage];

let root: string;
const sound = new Map<Precision, string>();
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-mutations-tfjs-'));
  for (const precision of ['fp32', 'int4'] as const) {
    sound.set(precision, join(root, precision));
    await convert(
      {
        checkpoint: `${FIXTURE}/hf`,
        backend: 'tfjs',
        precision,
        out: sound.get(precision)!,
        verify: false,
        layersPerGraph: 1,
      },
      silentReporter,
    );
  }
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

/** Edits a JSON file. @throws Error when nothing changed: the fault would test nothing */
function edit(file: string, change: (json: never) => void): Damage {
  return async (dir) => {
    const path = join(dir, file);
    const before = await readFile(path, 'utf8');
    const json = JSON.parse(before) as never;
    change(json);
    if (JSON.stringify(json) === JSON.stringify(JSON.parse(before))) throw new Error(`${file} is as it was`);
    await writeFile(path, JSON.stringify(json));
  };
}

/** Edits the inputs of a node. */
const rewire = (folder: string, node: string, change: (inputs: readonly string[]) => string[]): Damage =>
  edit(`${folder}/model.json`, ({ modelTopology }: ModelJson) => {
    const found = modelTopology.node.find(({ name }) => name === node)!;
    found.input = change(found.input!);
  });

/** Two weights of the same shape under each other's names. */
const swapWeights = (folder: string, one: string, other: string): Damage =>
  edit(`${folder}/model.json`, ({ weightsManifest }: ModelJson) => {
    for (const weight of weightsManifest.flatMap(({ weights }) => weights))
      weight.name = weight.name === one ? other : weight.name === other ? one : weight.name;
  });

/** Edits the bytes of a weight. */
function editWeight(folder: string, name: string, change: (bytes: Uint8Array) => void): Damage {
  return async (dir) => {
    const { parts } = await readBundle(openSource(dir, PLAN_PATH));
    const { file, offset, byteLength } = parts.get(folder)!.weights.find(({ spec }) => spec.name === name)!;
    const bytes = await readFile(join(dir, file));
    change(bytes.subarray(offset, offset + byteLength));
    await writeFile(join(dir, file), bytes);
  };
}

/** fp32 against what big_vision said, codes against the sound bundle: both within rounding of f32. */
async function verified(dir: string, precision: Precision): Promise<VerifyReport> {
  const candidate = await openBundle(dir, 'wasm');
  const reference = await openBundle(sound.get(precision)!, 'wasm');
  try {
    const { runner, metadata } = candidate;
    const recording = await readRecording(FIXTURE);
    // a stage of the decoder is what goes into its layer
    const recorded = recording.reference.outcomes.get(recording.cases[0]!.name)!.stages!;
    const stages = { vision_encoder: Object.keys(recorded.vision), decoder: Object.keys(recorded.prefill) };
    const against = precision === 'fp32' ? recording : { reference: reference.runner, cases: syntheticCases(metadata) };
    return await verifyProgram({
      candidate: runner,
      ...against,
      metadata,
      precision: 'fp32',
      stages,
      invariants: false,
    });
  } finally {
    await candidate.dispose();
    await reference.dispose();
  }
}

async function expectLocated(precision: Precision, [name, shows, damage]: MutationCase): Promise<void> {
  const dir = join(root, `${precision}-${name.replaceAll(/\W+/g, '-')}`);
  await cp(sound.get(precision)!, dir, { recursive: true });
  await damage(dir);
  const report = await verified(dir, precision);
  expect(report.passed).toBe(false);
  const { phase, stage } = report.firstDivergingStage!;
  expect(`${phase} ${stage}`, reportText(report)).toBe(shows);
}

test.each(['fp32', 'int4'] as const)('the sound bundle of %s passes', async (precision) => {
  const report = await verified(sound.get(precision)!, precision);
  expect(report.passed, reportText(report)).toBe(true);
});

describe('fp32', () => {
  const cases: readonly MutationCase[] = [
    ['cosines and sines swapped', 'prefill lm.1', swapWeights('decoder_00', 'rope.cos', 'rope.sin')],
    ['gate and up swapped', 'prefill lm.2', swapWeights('decoder_01', 'lm.1.gate.transposed', 'lm.1.up.transposed')],
    ['scores are not masked', 'prefill lm.2', rewire('decoder_01', 'softmax_1', () => ['matmul_2'])],
    [
      'new rows of the cache go over the first',
      'suffix lm.2',
      rewire('decoder_01', 'cache.behind', ([rows]) => [rows!, 'int_0']),
    ],
    [
      'the cache of keys is that of values',
      'suffix lm.2',
      rewire('decoder_01', 'lm.1.concat.before', ([, ...rest]) => ['past_key_values.1.value', ...rest]),
    ],
    [
      'one bit of one weight',
      'prefill lm.3',
      editWeight('decoder_02', 'lm.2.down.transposed', (bytes) => void (bytes[102]! ^= 0x40)),
    ],
    [
      'rows of the head, which are those of the embedding, are one too far',
      'prefill lm.0',
      editWeight('head_00', 'lm.head', (bytes) => bytes.copyWithin(256, 0)),
    ],
  ];
  test.each(cases)('%s', (...fault) => expectLocated('fp32', fault));
});

describe('int4 packed', () => {
  type Plan = {
    readonly graphs: readonly {
      readonly name: string;
      readonly tables: readonly { readonly runs: { firstRow: number; rows: number }[] }[];
    }[];
  };
  const cases: readonly MutationCase[] = [
    ['no zero points', 'prefill lm.2', rewire('decoder_01', 'lm.1.linear', (inputs) => inputs.slice(0, 3))],
    [
      'halves of bytes swapped',
      'prefill lm.2',
      editWeight('decoder_01', 'lm.1.o.codes', (bytes) =>
        bytes.forEach((byte, i) => (bytes[i] = (byte >> 4) | (byte << 4))),
      ),
    ],
    [
      'one scale, by its last bit but one',
      'prefill lm.3',
      editWeight('decoder_02', 'lm.2.gate.scales', (bytes) => void (bytes[20]! ^= 2)),
    ],
    ['codes of keys and of values', 'prefill lm.1', swapWeights('decoder_00', 'lm.0.k.codes', 'lm.0.v.codes')],
  ];
  test.each(cases)('%s', (...fault) => expectLocated('int4', fault));

  test('rows of the embedding are those before, so that every word is another', async () => {
    await expectLocated('int4', [
      'rows of the embedding',
      'prefill lm.0',
      edit(PLAN_PATH, ({ graphs }: Plan) => {
        const [run] = graphs.find(({ name }) => name === 'embed_tokens')!.tables[0]!.runs;
        run!.firstRow = 1;
      }),
    ]);
  });
});
