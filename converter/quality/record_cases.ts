import { backendNames } from '../../backends/find_backend.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Model } from '../../verify/decode.ts';
import { rowsOf } from '../../verify/rows.ts';
import { TOLERANCES } from '../../verify/tolerances.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { ParityError } from '../errors.ts';
import type { ReferencePlan } from './choose_reference.ts';
import { DistributionTally } from './distribution_tally.ts';
import { makeBundle } from './make_bundle.ts';
import { maskScores } from './mask_scores.ts';
import { conversionSource, quiet, STAGED_CASES, type QualityRun } from './quality_run.ts';
import { logitsKey, recordReference, type ReferenceAnswer } from './record_reference.ts';
import type { ReferenceSummary } from './report.ts';
import { nextTokens, runTeacherForced } from '../../verify/teacher_forced.ts';
import { judge, targetsOf } from './targets.ts';
import { TaskTally } from './task_tally.ts';

/** What the reference made of all cases. */
export interface RecordedReference {
  readonly summary: ReferenceSummary;
  readonly answers: readonly ReferenceAnswer[];
  /** An fp32 bundle that was the reference. */
  readonly bundle?: { readonly dir: string; readonly backend: string };
  /** Cases that the evaluator saw. */
  readonly evaluated: number;
}

/**
 * Runs the reference on every case; its values lie in the store afterwards.
 * @throws ParityError when the fp32 bundle that should be the reference is none
 */
export async function recordAll(run: QualityRun, plan: ReferencePlan): Promise<RecordedReference> {
  const { program, reporter, cases, kernels } = run;
  const evaluator: Model = {
    runner: evaluatorRunner(program, kernels && 'IR evaluator, float64 by ONNX Runtime', {
      observe: run.collector.observe,
      ...(kernels && { kernels }),
    }),
    metadata: program.metadata,
  };
  reporter.note(`reference: ${plan.kind === 'evaluator' ? 'the evaluator, float64' : 'an fp32 bundle'} (${plan.why})`);
  if (plan.kind === 'evaluator') {
    const answers = await recordCases(run, evaluator);
    return { summary: await summaryOf(run, evaluator, plan, answers), answers, evaluated: cases.length };
  }
  const backend = backendNames()[0];
  const variant = { label: 'fp32 as the reference', backend, precision: 'fp32', settings: {} } as const;
  const { dir } = await makeBundle(
    variant,
    conversionSource(run.options),
    { dir: run.temp, keep: true },
    quiet(reporter),
  );
  const bundle = await openBundle(dir);
  try {
    const answers = await recordCases(run, bundle);
    const checked = await checkCases(run, evaluator, answers, plan.checkedCases);
    if (!checked)
      reporter.warn(
        `The fp32 bundle was not compared with the evaluator (${plan.why}): ask for it with --check-cases 1.`,
      );
    return {
      summary: { ...(await summaryOf(run, bundle, plan, answers)), ...(checked && { checked }) },
      answers,
      bundle: { dir, backend },
      evaluated: plan.checkedCases,
    };
  } finally {
    await bundle.dispose();
  }
}

async function recordCases(
  { options, program, cases, decode, store, stages, reporter, maskDecoder }: QualityRun,
  model: Model,
): Promise<readonly ReferenceAnswer[]> {
  const progress = reporter.stage('reference', { unit: 'steps', total: cases.length });
  const { tieMargin } = TOLERANCES.fp32(program.metadata);
  const answers: ReferenceAnswer[] = [];
  for (const [i, quality] of cases.entries()) {
    options.signal?.throwIfAborted();
    answers.push(
      await recordReference(model, i, quality, {
        store,
        decode,
        tieMargin,
        stages: i < STAGED_CASES ? stages : undefined,
        maskDecoder,
        signal: options.signal,
      }),
    );
    progress.advance(1);
  }
  progress.done();
  const others = answers.filter(({ recorded }) => recorded === 'different').length;
  if (others > 0)
    reporter.warn(
      `The reference does not give the recorded answer to ${others} of ${answers.length} cases: they may be of another model, or of the other --reference.`,
    );
  return answers;
}

async function summaryOf(
  { cases }: QualityRun,
  { runner }: Model,
  { kind, why }: ReferencePlan,
  answers: readonly ReferenceAnswer[],
): Promise<ReferenceSummary> {
  const tasks = new TaskTally();
  for (const [i, { text, decoded }] of answers.entries()) {
    const { truth, loadMasks } = cases[i]!;
    const masks = decoded && loadMasks && maskScores(decoded, decoded, await loadMasks());
    tasks.add(text, { reference: text, truth, masks });
  }
  const judged = answers.flatMap(({ recorded }) => recorded ?? []);
  return {
    kind,
    description: runner.description,
    why,
    ...(judged.length > 0 && {
      recorded: { same: judged.filter((verdict) => verdict !== 'different').length, of: judged.length },
    }),
    tasks: tasks.metrics(),
  };
}

/** Compares the reference's values with the evaluator's. @throws ParityError when they are not f32's */
async function checkCases(
  { program, cases, store, options, reporter }: QualityRun,
  evaluator: Model,
  answers: readonly ReferenceAnswer[],
  count: number,
): Promise<ReferenceSummary['checked']> {
  if (count === 0) return undefined;
  const tally = new DistributionTally(TOLERANCES.fp32(program.metadata).tieMargin);
  const progress = reporter.stage('check the reference', { unit: 'steps', total: count });
  for (const [i, quality] of cases.slice(0, count).entries()) {
    options.signal?.throwIfAborted();
    const prompt = await quality.load();
    const { tokens } = answers[i]!;
    const { logits } = await runTeacherForced(evaluator, prompt, tokens);
    const columns = program.metadata.vocabSize;
    tally.add(
      rowsOf(await store.get(logitsKey(i)), { columns }),
      rowsOf(logits, { columns }),
      nextTokens(prompt, tokens),
    );
    progress.advance(1);
  }
  progress.done();
  const measured = tally.metrics();
  const failed = judge(targetsOf('fp32', program.metadata, 'none'), measured).find(({ passed }) => !passed);
  if (failed)
    throw new ParityError(
      'reference_differs',
      `the fp32 bundle is no reference: ${failed.metric} is ${failed.value} against the evaluator`,
      { hint: 'take the evaluator with --baseline evaluator, and see `pgconv verify` on an fp32 bundle' },
    );
  return { cases: count, maxAbsLogit: measured.maxAbsLogit, sameTop1OffTies: measured.sameTop1OffTies };
}
