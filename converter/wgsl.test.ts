import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isBackendName, type BackendName } from '../backends/index.ts';
import { compareStages } from '../verify/divergence.ts';
import { itOnGpu } from '../verify/environment/requirement.ts';
import { generateAll } from '../verify/generate.ts';
import { reportText } from '../verify/report.ts';
import { runCase } from '../verify/run_case.ts';
import { TOLERANCES, type Precision } from '../verify/tolerances.ts';
import { openBundle } from './bundle_model.ts';
import { convert } from './convert.ts';
import { silentReporter } from './progress/reporter.ts';
import { readRecording, type Recording } from './testing/recording.ts';
import { expectWithinRounding } from './testing/rounding.ts';
import { verifyBundle } from './verify_bundle.ts';

/* Bundles of shaders on the software GPU, held against what both original implementations recorded. */

const WGSL = 'wgsl' as BackendName;
/** Until the compiler is a backend by name these are reported as not run. */
const UNTIL_REGISTERED = { skip: !isBackendName(WGSL) };
/** Of the contract: fp32 bundles are within it of the goldens. */
const LIMIT = 1e-4;
const QUALITY = 'logits against the original';
let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-wgsl-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const make = (checkpoint: string, precision: Precision) => convert({ checkpoint: `fixtures/${checkpoint}`, backend: WGSL, precision, out: join(root, `b${made++}`), verify: false }, silentReporter);

describe.each(['pg1-tiny', 'pg2-tiny'])('%s, fp32', UNTIL_REGISTERED, (fixture) => {
  let bundle: string;
  let files: ReadonlyMap<string, string>;
  let recording: Recording;

  beforeAll(async () => {
    const { out, manifest } = await make(`${fixture}/hf`, 'fp32');
    bundle = out;
    files = new Map(manifest.files.map(({ path, sha256 }) => [path, sha256]));
    recording = await readRecording(`fixtures/${fixture}`);
  });

  test('a big_vision checkpoint gives the bytes that a Hugging Face folder gives', async () => {
    const { manifest } = await make(`${fixture}/bv_f32.npz`, 'fp32');
    const graphs = manifest.files.filter(({ path }) => /^(manifest\.pgw|shaders\/|weights\/)/.test(path));
    expect(graphs.length).toBeGreaterThan(3);
    for (const { path, sha256 } of graphs) expect(sha256, path).toBe(files.get(path));
  });

  itOnGpu('computes what was recorded: image features, logits, a left-padded batch; alone as in the batch, at once as token by token', async () => {
    const report = await verifyBundle({ bundle, against: `fixtures/${fixture}/golden.safetensors` }, silentReporter);
    expectWithinRounding(report, LIMIT);
    for (const output of ['suffix at once = token by token', 'row 0 in the batch = alone', 'suffix does not see ahead', 'prompt sees ahead']) expect(report.checks.map((check) => check.output)).toContain(output);
    expect(report.passed, reportText(report)).toBe(true);
  }, 600_000);

  itOnGpu('agrees at every stage', async () => {
    const [verifyCase] = recording.cases;
    const recorded = recording.reference.outcomes.get(verifyCase!.name)!.stages!;
    const names = { vision_encoder: Object.keys(recorded.vision), decoder: Object.keys(recorded.prefill) };
    const model = await openBundle(bundle);
    const outcome = await runCase(model, { ...verifyCase!, maxNewTokens: 0 }, { stages: names });
    const compared = compareStages(verifyCase!, outcome.stages!, recorded, names, TOLERANCES.fp32(model.metadata));
    await model.dispose();
    expect(compared).toHaveLength(names.vision_encoder.length + 2 * names.decoder.length);
    expect(compared.length).toBeGreaterThan(8);
    for (const { phase, stage, relativeL2 } of compared) expect(relativeL2, `${phase} ${stage}`).toBeLessThan(1e-5);
  }, 600_000);

  itOnGpu('says the recorded tokens, padded or not', async () => {
    const model = await openBundle(bundle);
    for (const verifyCase of recording.cases) {
      const { tokens } = recording.reference.outcomes.get(verifyCase.name)!.greedy!;
      expect(await generateAll(model, verifyCase, { maxNewTokens: verifyCase.maxNewTokens, stopTokenIds: [] })).toEqual(tokens);
    }
    await model.dispose();
  }, 600_000);
});

/** Random weights cannot keep the quality that trained ones do: that is the one check that may fail. */
describe.each<Precision>(['fp16', 'int8', 'int4'])('pg2-tiny, %s', UNTIL_REGISTERED, (precision) => {
  itOnGpu('computes what its weights say, and is verified by what the manifest names', async () => {
    const { out } = await make('pg2-tiny/hf', precision);
    const report = await verifyBundle({ bundle: out }, silentReporter);
    expect(report.checks.length).toBeGreaterThan(8);
    expect(report.checks.filter(({ passed, output }) => !passed && output !== QUALITY), reportText(report)).toEqual([]);
  }, 600_000);
});
