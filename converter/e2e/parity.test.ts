import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import { generateAll } from '../../verify/generate.ts';
import { compareStages, stageNames } from '../../verify/divergence.ts';
import { reportText } from '../../verify/report.ts';
import { runCase } from '../../verify/run_case.ts';
import { TOLERANCES } from '../../verify/tolerances.ts';
import { verifyProgram } from '../../verify/verify.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import type { ModelOptions } from '../models/family.ts';
import { paligemma } from '../models/paligemma.ts';
import { readRecording, type Recording } from '../testing/recording.ts';
import { expectWithinRounding, roundingOf } from '../testing/rounding.ts';

interface Recorded {
  readonly checkpoint: string;
  readonly golden?: string;
  readonly options?: ModelOptions;
  /** Relative L2 of a stage: recordings of one implementation alone carry its own rounding. */
  readonly stage?: number;
}

// What golden says by both references, or by Hugging Face alone, and which options make the program that computes it.
const RECORDED: readonly Recorded[] = [
  ...['pg1-tiny', 'pg2-tiny'].flatMap((fixture) =>
    ['bv_f32.npz', 'hf'].map((name) => ({ checkpoint: `${fixture}/${name}`, stage: 2e-6 })),
  ),
  { checkpoint: 'pg2-window/hf' },
  { checkpoint: 'pg2-window/hf', golden: 'golden_full', options: { slidingWindow: 'off' } },
  { checkpoint: 'pg2-wide/hf' },
  { checkpoint: 'pg1-wide/hf' },
  { checkpoint: 'pg2-28b-tiny/hf' },
  { checkpoint: 'pg2-untied/hf' },
];

const label = ({ checkpoint, golden, options }: Recorded) =>
  [checkpoint, golden, options && JSON.stringify(options)].filter(Boolean).join(', ');

describe.each(RECORDED.map((recorded) => [label(recorded), recorded] as const))(
  'the program of %s',
  (_, { checkpoint: path, golden, options = {}, stage: stageLimit = 3e-6 }) => {
    const folder = `fixtures/${path.split('/')[0]!}`;
    let checkpoint: Checkpoint;
    let program: Program;
    let recording: Recording;
    let limit: number;

    beforeAll(async () => {
      checkpoint = await openCheckpoint(`fixtures/${path}`);
      ({ program } = await paligemma.load(checkpoint, options));
      recording = await readRecording(folder, golden);
      limit = await roundingOf(folder);
    });
    afterAll(() => checkpoint.close());

    test('computes what was recorded', async () => {
      const report = await verifyProgram({
        candidate: evaluatorRunner(program),
        ...recording,
        metadata: program.metadata,
        precision: 'fp32',
        stages: stageNames(program),
      });
      expectWithinRounding(report, limit);
      if (limit < 1e-4) expect(report.passed, reportText(report)).toBe(true);
    });

    test('agrees at every stage of the prompt and of the suffix', async () => {
      const [verifyCase] = recording.cases;
      const names = stageNames(program);
      const recorded = recording.reference.outcomes.get(verifyCase!.name)!.stages!;
      const outcome = await runCase(
        { runner: evaluatorRunner(program), metadata: program.metadata },
        { ...verifyCase!, maxNewTokens: 0 },
        { stages: names },
      );
      const compared = compareStages(verifyCase!, outcome.stages!, recorded, names, TOLERANCES.fp32(program.metadata));
      const numbered = (kind: string, last: number) => Array.from({ length: last + 1 }, (_step, i) => `${kind}.${i}`);
      const visionLayers = Object.keys(recorded.vision).filter((name) => /^vit\.\d+$/.test(name)).length - 1;
      expect(visionLayers).toBeGreaterThanOrEqual(2);
      expect(compared.map(({ phase, stage }) => `${phase} ${stage}`)).toEqual(
        [...numbered('vit', visionLayers), 'vit.post_layernorm', 'image_features']
          .map((s) => `vision ${s}`)
          .concat(
            ['prefill', 'suffix'].flatMap((phase) =>
              numbered('lm', program.metadata.layers).map((s) => `${phase} ${s}`),
            ),
          ),
      );
      for (const { stage, relativeL2 } of compared) expect(relativeL2, stage).toBeLessThan(stageLimit);
    });

    test('generates the recorded tokens, padded or not', async () => {
      const { cases, reference } = recording;
      expect(cases).toHaveLength(2);
      for (const verifyCase of cases) {
        const { tokens } = reference.outcomes.get(verifyCase.name)!.greedy!;
        const { maxNewTokens } = verifyCase;
        expect(
          await generateAll({ runner: evaluatorRunner(program), metadata: program.metadata }, verifyCase, {
            maxNewTokens,
            stopTokenIds: [],
          }),
        ).toEqual(tokens);
      }
    });
  },
);
