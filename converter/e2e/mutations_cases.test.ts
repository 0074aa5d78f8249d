import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Runner } from '../../backends/backend.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program, ProgramMetadata } from '../../ir/graph.ts';
import { sliceRows } from '../../ir/views/select.ts';
import { concatRows } from '../../ir/views/concat.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import { syntheticCases, type VerifyCase } from '../../verify/cases.ts';
import type { Recorded } from '../../verify/recording.ts';
import { reportText } from '../../verify/report.ts';
import { runCase } from '../../verify/run_case.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { readCheckpoint } from '../models/paligemma.ts';
import { oneByOne, reorderRows, soundProgram, weightFault, type Sound } from '../testing/fault.ts';

/* Each of the synthetic cases shows a fault that no other shows: so none of them can be left out. */

const LONG = 'one long row';
const ROWS = 'three rows, left-padded';
const LAST = 'last positions';

let checkpoint: Checkpoint;
let sound: Sound;
let program: Program;
let cases: readonly VerifyCase[];
let reference: Recorded;

beforeAll(async () => {
  checkpoint = await openCheckpoint('fixtures/pg1-tiny/hf');
  sound = readCheckpoint(checkpoint);
  program = soundProgram(sound);
  cases = syntheticCases(program.metadata);
  const model = { runner: evaluatorRunner(program), metadata: program.metadata };
  const outcomes = await Promise.all(cases.map(async (each) => [each.name, await runCase(model, each)] as const));
  reference = { description: 'the sound program', outcomes: new Map(outcomes) };
}, 120_000);
afterAll(() => checkpoint.close());

const verified = (candidate: Runner): Promise<VerifyReport> =>
  verifyProgram({
    candidate,
    reference,
    metadata: program.metadata,
    cases,
    precision: 'fp32',
    invariants: false,
  });

async function expectOnly(name: string, candidate: Runner): Promise<void> {
  const report = await verified(candidate);
  const failed = report.checks.filter(({ passed }) => !passed).map((check) => check.case);
  expect([...new Set(failed)], reportText(report)).toEqual([name]);
}

type Inputs = Readonly<Record<string, Tensor>>;

/** The sound program behind something that changes what its decoder is given, or what it gives. */
function withDecoder(
  change: (inputs: Inputs) => Inputs,
  after: (results: Record<string, Tensor>) => Record<string, Tensor> = (results) => results,
): Runner {
  const runner = oneByOne(evaluatorRunner(program));
  return {
    ...runner,
    run: async (graph, inputs, options) =>
      graph === 'decoder'
        ? after({ ...(await runner.run(graph, change(inputs), options)) })
        : runner.run(graph, inputs, options),
  };
}

/** A key that nobody sees: of the tokens in the cache, or of those that are read now. */
const hidden =
  (slot: number, when: (past: number) => boolean) =>
  (inputs: Inputs): Inputs => {
    const mask = inputs['attention_mask']!;
    const [batch, total] = mask.shape as readonly [number, number];
    if (slot >= total || !when(inputs['past_key_values.0.key']!.shape[2]!)) return inputs;
    const data = mask.data.slice();
    for (let row = 0; row < batch; row++) data[row * total + slot] = 0;
    return { ...inputs, attention_mask: { ...mask, data } };
  };

test('the sound program passes', async () => {
  const report = await verified(evaluatorRunner(program));
  expect(report.passed, reportText(report)).toBe(true);
});

test('the last position reads the row before: found at the last positions', async () => {
  const { maxPositions } = program.metadata;
  const decoder = program.graphs.find(({ name }) => name === 'decoder')!;
  const constants = decoder.constants.map((constant) => {
    if (constant.kind !== 'weight' || !constant.value.name.startsWith('rope.')) return constant;
    const { data } = constant;
    return {
      ...constant,
      data: concatRows([sliceRows(data, 0, maxPositions), sliceRows(data, maxPositions - 1, maxPositions)]),
    };
  });
  const graphs = program.graphs.map((graph) => (graph === decoder ? { ...graph, constants } : graph));
  await expectOnly(LAST, evaluatorRunner({ ...program, graphs }));
});

test('tables end a row early: the runtime’s error ends the verification', async () => {
  const short = soundProgram({
    ...sound,
    config: { ...sound.config, text: { ...sound.config.text, maxPositions: program.metadata.maxPositions - 1 } },
  });
  await expect(verified(evaluatorRunner(short))).rejects.toThrow('gather: index 8192 of a table of 8192 rows');
});

test('a token beyond 256 of a prompt is not seen: found in the long row', () =>
  expectOnly(LONG, withDecoder(hidden(256, (past) => past === 0))));

test('a token beyond 300 of the cache is not seen: found in the long row', () =>
  expectOnly(LONG, withDecoder(hidden(300, (past) => past > 300))));

test('the embedding of the last id of text is another’s: found in the row that reads it', async () => {
  const last = program.metadata.imageTokenId - 1;
  const fault = weightFault('the embedding of the last id is another’s', 'prefill lm.0', async (weights) => {
    weights.set('lm.head', weights.get('lm.embed')!);
    await reorderRows(weights, 'lm.embed', (row) => (row === last ? row - 1 : row));
  });
  await expectOnly(LONG, evaluatorRunner(await fault.build(sound)));
});

test('the last row of the head is another’s: found in the last column of the logits', async () => {
  const fault = weightFault('the last row of the head is another’s', 'prefill lm.0', async (weights, config) => {
    weights.set('lm.head', weights.get('lm.embed')!);
    await reorderRows(weights, 'lm.head', (row) => (row === config.vocabSize - 1 ? row - 1 : row));
  });
  const report = await verified(evaluatorRunner(await fault.build(sound)));
  const logits = report.checks.filter(({ output }) => output.endsWith(' logits'));
  expect(logits.map(({ passed }) => passed)).toEqual(logits.map(() => false));
});

test('the third row is the second: found in the batch of three', () =>
  expectOnly(
    ROWS,
    withDecoder(
      (inputs) => inputs,
      (results) => ({ ...results, logits: thirdAsSecond(results['logits']!) }),
    ),
  ));

test('no more than four pads are masked: found in the row with an empty prompt', () =>
  expectOnly(
    ROWS,
    withDecoder((inputs) => {
      const mask = inputs['attention_mask']!;
      const total = mask.shape[1]!;
      const data = mask.data.map((own, i) => (i % total >= 4 ? 1 : own));
      return { ...inputs, attention_mask: { ...mask, data } };
    }),
  ));

test('logits have a column more: found in all', async () => {
  const report = await verified(
    withDecoder(
      (inputs) => inputs,
      (results) => ({ ...results, logits: widened(results['logits']!, program.metadata) }),
    ),
  );
  const failed = report.checks.filter(({ passed }) => !passed);
  expect(failed.map((check) => `${check.case}: ${check.output}`)).toEqual(
    cases.flatMap(({ name }) => ['prefill', 'suffix', 'greedy'].map((part) => `${name}: ${part} logits`)),
  );
});

function thirdAsSecond(logits: Tensor): Tensor {
  if (logits.shape[0] !== 3) return logits;
  const size = logits.data.length / 3;
  const data = logits.data.slice();
  data.copyWithin(2 * size, size, 2 * size);
  return { ...logits, data };
}

/** A column behind the vocabulary that would win every choice. */
function widened({ shape, data }: Tensor, { vocabSize }: ProgramMetadata): Tensor {
  const rows = data.length / vocabSize;
  const wide = Array.from({ length: rows }, (_, row) => [
    ...data.slice(row * vocabSize, (row + 1) * vocabSize),
    1e9,
  ]).flat();
  return tensorOf('f32', [...shape.slice(0, -1), vocabSize + 1], wide);
}
