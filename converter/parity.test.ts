import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluatorRunner } from '../ir/evaluate.ts';
import { generateAll } from '../verify/generate.ts';
import { compareStages, stageNames } from '../verify/divergence.ts';
import { readRecorded } from '../verify/recorded.ts';
import { reportText } from '../verify/report.ts';
import { runCase } from '../verify/run_case.ts';
import { TOLERANCES } from '../verify/tolerances.ts';
import { verifyProgram } from '../verify/verify.ts';
import { openCheckpoint } from './checkpoints/index.ts';
import { openSafetensors, type SafetensorsFile } from './checkpoints/safetensors.ts';
import { paligemma } from './families/paligemma.ts';

const open: { close(): Promise<void> }[] = [];
const recordings = new Map<string, { golden: SafetensorsFile; stages: SafetensorsFile }>();
const fixtures = ['fixtures/pg1-tiny', 'fixtures/pg2-tiny'];

beforeAll(async () => {
  for (const fixture of fixtures) {
    const [golden, stages] = [await openSafetensors(`${fixture}/golden.safetensors`), await openSafetensors(`${fixture}/stages.safetensors`)];
    open.push(golden, stages);
    recordings.set(fixture, { golden, stages });
  }
});
afterAll(async () => {
  await Promise.all(open.map((file) => file.close()));
});

async function load(path: string) {
  const checkpoint = await openCheckpoint(path);
  open.push(checkpoint);
  return (await paligemma.load(checkpoint)).program;
}

describe.each(fixtures.flatMap((fixture) => ['bv_f32.npz', 'hf'].map((name) => [`${fixture}/${name}`, fixture] as const)))('the program of %s', (path, fixture) => {
  const recording = () => recordings.get(fixture)!;

  test('computes what big_vision and Hugging Face computed', async () => {
    const program = await load(path);
    const { cases, reference } = await readRecorded(recording().golden.tensors, recording().stages.tensors, 'big_vision');
    const report = await verifyProgram({ candidate: evaluatorRunner(program), reference, metadata: program.metadata, cases, precision: 'fp32', stages: stageNames(program) });
    expect(report.passed, reportText(report)).toBe(true);
    for (const { output, metrics } of report.checks) if (metrics.maxAbs !== undefined && output !== 'prompt sees ahead') expect(metrics.maxAbs, output).toBeLessThan(1e-5);
  });

  test('agrees at every stage of the prompt and of the suffix', async () => {
    const program = await load(path);
    const { cases, reference } = await readRecorded(recording().golden.tensors, recording().stages.tensors);
    const [verifyCase] = cases;
    const visionLayers = (JSON.parse(await readFile(`${fixture}/case.json`, 'utf8')) as { case: { img: { depth: number } } }).case.img.depth;
    const numbered = (kind: string, last: number) => Array.from({ length: last + 1 }, (_, i) => `${kind}.${i}`);
    const outcome = await runCase({ runner: evaluatorRunner(program), metadata: program.metadata }, verifyCase!, { stages: stageNames(program) });
    const compared = compareStages(verifyCase!, outcome.stages!, reference.outcomes.get(verifyCase!.name)!.stages!, stageNames(program), TOLERANCES.fp32(program.metadata));
    expect(compared.map(({ phase, stage }) => `${phase} ${stage}`)).toEqual(
      [...numbered('vit', visionLayers), 'vit.post_layernorm', 'image_features'].map((s) => `vision ${s}`).concat(['prefill', 'suffix'].flatMap((phase) => numbered('lm', program.metadata.layers).map((s) => `${phase} ${s}`))),
    );
    for (const { stage, relativeL2 } of compared) expect(relativeL2, stage).toBeLessThan(2e-6);
  });

  test('generates the recorded tokens, padded or not', async () => {
    const program = await load(path);
    const { cases, reference } = await readRecorded(recording().golden.tensors);
    expect(cases).toHaveLength(2);
    for (const verifyCase of cases) {
      const { tokens } = reference.outcomes.get(verifyCase.name)!.greedy!;
      const { maxNewTokens } = verifyCase;
      expect(await generateAll({ runner: evaluatorRunner(program), metadata: program.metadata }, verifyCase, { maxNewTokens, stopTokenIds: [] })).toEqual(tokens);
    }
  });
});
