import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { modelPath } from '../../backends/onnx/bundle_files.ts';
import { PartedRunner } from '../../backends/onnx/parts/parted_runner.ts';
import { loadRuntime } from '../../backends/onnx/runtime.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { syntheticCases } from '../../verify/cases.ts';
import { stageNames } from '../../verify/divergence.ts';
import { reportText } from '../../verify/report.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { readManifest } from '../bundle/manifest.ts';
import { convert } from '../compile/convert.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { openModel } from '../models/open_model.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}/hf`, import.meta.url));
const tempFolder = tempFolders();

/** So little that every fixture is cut behind its layers. */
const LITTLE = 2_000_000;
const ENOUGH = 1e12;
/** Bytes of a layer, with the table of angles that it reads. */
const A_LAYER = 1_200_000;
const PARTS = 'each part on the reference';

const verdicts = ({ checks }: VerifyReport) =>
  checks
    .filter(({ output }) => output !== PARTS)
    .map(({ case: name, output, passed }) => `${name}: ${output}: ${passed}`);

describe.each(['pg1-tiny', 'pg2-tiny'])('a bundle of %s', (name) => {
  test.each(['fp32', 'fp16', 'int8'] as const)('in %s is judged in parts as it is whole', async (precision) => {
    const out = join(await tempFolder(), 'bundle');
    const options = { checkpoint: fixture(name), backend: 'onnx', precision, out, memory: LITTLE };
    const { verification: parted } = await convert(options, silentReporter);
    expect(parted!.inParts).toBe(true);
    expect(parted!.checks.filter(({ output }) => output === PARTS).length).toBeGreaterThan(0);
    expect(reportText(parted!)).toContain('in parts: no graph was run as a whole');
    const words = 'in parts: no graph was run as a whole';
    expect((await readManifest(out)).verification!.program).toMatchObject({
      verdict: 'held',
      reason: expect.stringMatching(`^${words}`),
    });
    expect(await readFile(join(out, 'README.md'), 'utf8')).toContain(words);
    const whole = await verifyBundle({ bundle: out, memory: ENOUGH }, silentReporter);
    expect(whole.inParts).toBeUndefined();
    expect(verdicts(parted!)).toEqual(verdicts(whole));
  });
});

test('where no part begins at the end of a layer, the report says that none was compared on the reference', async () => {
  const out = join(await tempFolder(), 'bundle');
  const options = { checkpoint: fixture('pg1-tiny'), backend: 'onnx', precision: 'fp32', out } as const;
  await convert({ ...options, verify: false }, silentReporter);
  // parts that hold less than a layer, and parts of which the decoder has one
  for (const [memory, cases] of [
    [1e6, ''],
    [2e6, ' in 1 of 2 cases'],
  ] as const) {
    const report = await verifyBundle({ bundle: out, memory }, silentReporter);
    expect(report.inParts).toBe(true);
    const words = `no part was compared on what the reference gave${cases}: with this memory none begins where a layer ends`;
    expect(report.partsUncompared).toBe(words);
    expect(report.links!.program.reason).toBe(`in parts: no graph was run as a whole; ${words}`);
    expect(reportText(report)).toContain(words);
  }
});

test('a fault in one layer is found on what the reference gave, and the part is named', async () => {
  const out = join(await tempFolder(), 'bundle');
  await convert(
    { checkpoint: fixture('pg1-tiny'), backend: 'onnx', precision: 'fp16', out, verify: false },
    silentReporter,
  );
  const { model, close } = await openModel({ checkpoint: fixture('pg1-tiny') });
  const { program } = model;
  const runner = new PartedRunner(await loadRuntime(), 'cpu', (graph) => modelPath(out, graph), A_LAYER);
  // the reference is another model in one layer: the attention of the second ends as that of the first does
  const graphs = program.graphs.map((graph) => ({
    ...graph,
    constants: graph.constants.map((constant) =>
      constant.kind === 'weight' && constant.value.name === 'lm.1.o'
        ? { ...constant, data: program.graphs.flatMap(({ constants }) => constants).find(isOther)!.data }
        : constant,
    ),
  }));
  const report = await verifyProgram({
    candidate: runner,
    reference: evaluatorRunner({ ...program, graphs }),
    metadata: program.metadata,
    cases: syntheticCases(program.metadata).slice(0, 1),
    precision: 'fp16',
    stages: stageNames(program),
  });
  const parts = report.checks.find(({ output }) => output === PARTS)!;
  expect(parts.passed).toBe(false);
  expect(parts.note).toMatch(/first at prefill lm\.2$/);
  await runner.dispose();
  await close();
});

type AnyConstant = { readonly kind: string; readonly value: { readonly name: string } };

function isOther<C extends AnyConstant>(constant: C): constant is Extract<C, { readonly kind: 'weight' }> {
  return constant.kind === 'weight' && constant.value.name === 'lm.0.o';
}
