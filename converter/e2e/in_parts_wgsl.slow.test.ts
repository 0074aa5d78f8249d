import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect } from 'vitest';
import { PartedRunner } from '../../backends/wgsl/parts/parted_runner.ts';
import { memoryBundle, memoryRunner } from '../../backends/wgsl/testing/memory_runner.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import { syntheticCases } from '../../verify/cases.ts';
import { stageNames } from '../../verify/divergence.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';

/** So little that layers are in parts of their own, or in several. */
const PART = 300_000;
const PARTS = 'each part on the reference';

const opened: OpenModel[] = [];
afterAll(() => Promise.all(opened.map((model) => model.close())));

const verdicts = ({ checks }: VerifyReport) =>
  checks
    .filter(({ output }) => output !== PARTS)
    .map(({ case: name, output, passed, metrics }) => ({ check: `${name}: ${output}`, passed, metrics }));

describe('shaders of pg2-tiny', () => {
  itOnGpu('are judged in parts as they are whole: the same figures', async () => {
    const model = await openModel({
      checkpoint: fileURLToPath(new URL('../../fixtures/pg2-tiny/hf', import.meta.url)),
    });
    opened.push(model);
    const { program } = model.model;
    let parts = 0;
    const { plan, open } = memoryBundle(program, { shardBytes: 'each' });
    const parted = new PartedRunner({
      plan,
      async openPart(part) {
        const executor = await open(part);
        parts++;
        return { executor, dispose: () => executor.dispose() };
      },
      maxBytes: PART,
      description: 'the test device',
    });
    const report = await judged(parted, program);
    const whole = await judged(await memoryRunner(program, { shardBytes: 'each' }), program);
    expect(report.inParts).toBe(true);
    expect(report.passed).toBe(true);
    expect(verdicts(report)).toEqual(verdicts(whole));
    expect(report.checks.filter(({ output }) => output === PARTS).length).toBeGreaterThan(0);
    expect(parts).toBeGreaterThan(20);
  });
});

async function judged(candidate: PartedRunner | Awaited<ReturnType<typeof memoryRunner>>, program: Program) {
  const report = await verifyProgram({
    candidate,
    reference: evaluatorRunner(program),
    metadata: program.metadata,
    cases: syntheticCases(program.metadata).slice(0, 2),
    precision: 'fp32',
    stages: stageNames(program),
  });
  await candidate.dispose();
  return report;
}
