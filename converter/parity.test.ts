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

const fixture = 'fixtures/pg1-tiny';
const open: { close(): Promise<void> }[] = [];
let golden: SafetensorsFile;
let stages: SafetensorsFile;

beforeAll(async () => {
  golden = await openSafetensors(`${fixture}/golden.safetensors`);
  stages = await openSafetensors(`${fixture}/stages.safetensors`);
  open.push(golden, stages);
});
afterAll(async () => {
  await Promise.all(open.map((file) => file.close()));
});

async function load(path: string) {
  const checkpoint = await openCheckpoint(path);
  open.push(checkpoint);
  return paligemma.load(checkpoint).program;
}

describe.each([`${fixture}/bv_f32.npz`, `${fixture}/hf`])('the program of %s', (path) => {
  test('computes what big_vision and Hugging Face computed', async () => {
    const program = await load(path);
    const { cases, reference } = await readRecorded(golden.tensors, stages.tensors, 'big_vision');
    const report = await verifyProgram({ candidate: evaluatorRunner(program), reference, metadata: program.metadata, cases, precision: 'fp32', stages: stageNames(program) });
    expect(report.passed, reportText(report)).toBe(true);
    for (const { output, metrics } of report.checks) if (metrics.maxAbs !== undefined && output !== 'prompt sees ahead') expect(metrics.maxAbs, output).toBeLessThan(1e-5);
  });

  test('agrees at every stage of the prompt and of the suffix', async () => {
    const program = await load(path);
    const { cases, reference } = await readRecorded(golden.tensors, stages.tensors);
    const [verifyCase] = cases;
    const outcome = await runCase({ runner: evaluatorRunner(program), metadata: program.metadata }, verifyCase!, { stages: stageNames(program) });
    const compared = compareStages(verifyCase!, outcome.stages!, reference.outcomes.get(verifyCase!.name)!.stages!, stageNames(program), TOLERANCES.fp32(program.metadata));
    expect(compared.map(({ phase, stage }) => `${phase} ${stage}`)).toEqual(
      ['vit.0', 'vit.1', 'vit.2', 'vit.3', 'vit.post_layernorm', 'image_features'].map((s) => `vision ${s}`).concat(['prefill', 'suffix'].flatMap((phase) => [0, 1, 2, 3].map((i) => `${phase} lm.${i}`))),
    );
    for (const { stage, relativeL2 } of compared) expect(relativeL2, stage).toBeLessThan(2e-6);
  });

  test('generates the recorded tokens, padded or not', async () => {
    const program = await load(path);
    const { cases, reference } = await readRecorded(golden.tensors);
    expect(cases).toHaveLength(2);
    for (const verifyCase of cases) {
      const { tokens } = reference.outcomes.get(verifyCase.name)!.greedy!;
      const { maxNewTokens } = verifyCase;
      expect(await generateAll({ runner: evaluatorRunner(program), metadata: program.metadata }, verifyCase, { maxNewTokens, stopTokenIds: [] })).toEqual(tokens);
    }
  });
});
