import { describe, expect, test } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import { readTensor, tensorData, tensorOf, type TensorData } from '../../ir/tensor.ts';
import { stageNames } from '../../verify/divergence.ts';
import { generateAll } from '../../verify/generate.ts';
import { reportText } from '../../verify/report.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { paligemma, readCheckpoint } from '../models/paligemma.ts';
import { HUGGING_FACE } from '../models/paligemma/behaviour.ts';
import { imageTokens, VARIANTS } from '../models/paligemma/config.ts';
import { resolveHead } from '../models/paligemma/tied_head.ts';
import { syntheticTensors } from '../synth/synth.ts';
import { soundProgram, type Sound } from '../testing/fault.ts';
import { PALIGEMMA_2_FAULTS, SOFTCAP_FAULTS } from '../testing/faults_paligemma2.ts';
import { readRecording, type Recording } from '../testing/recording.ts';

/** Opens a fixture for as long as `use` takes. */
async function withCheckpoint<T>(fixture: string, use: (checkpoint: Checkpoint) => T | Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(`fixtures/${fixture}/hf`);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

function verify(program: Program, { cases, reference }: Recording): Promise<VerifyReport> {
  return verifyProgram({
    candidate: evaluatorRunner(program),
    reference,
    cases,
    metadata: program.metadata,
    precision: 'fp32',
    stages: stageNames(program),
    invariants: false,
  });
}

/** The case that has stages. */
const withStages = ({ cases, reference }: Recording): Recording => ({ cases: cases.slice(0, 1), reference });

/** Weights read into memory, for their checkpoint is closed before they are used. */
async function soundOf(checkpoint: Checkpoint): Promise<Sound> {
  const { config, weights } = readCheckpoint(checkpoint);
  const head = await resolveHead(weights, config);
  const held = new Map<string, TensorData>();
  for (const [name, data] of head.weights) held.set(name, tensorData(await readTensor(data)));
  return { config, weights: held, behaviour: HUGGING_FACE };
}

const outputsBeyond = ({ checks }: VerifyReport, relativeL2: number) => [
  ...new Set(checks.filter(({ metrics }) => (metrics.relativeL2 ?? 0) > relativeL2).map(({ output }) => output)),
];

describe.each(Object.entries(PALIGEMMA_2_FAULTS))(
  'a fault fails and is located against what was recorded of %s',
  (fixture, faults) => {
    const opened = Promise.all([withCheckpoint(fixture, soundOf), readRecording(`fixtures/${fixture}`)]);

    test('the sound program diverges at no stage', async () => {
      const [sound, recording] = await opened;
      const report = await verify(soundProgram(sound), recording);
      expect(outputsBeyond(report, 1e-5), reportText(report)).toEqual([]);
      expect(report.greedyDifferences).toEqual([]);
    });

    test.each(faults)('$name', async (fault) => {
      const [sound, recording] = await opened;
      const report = await verify(await fault.build(sound), withStages(recording));
      expect(report.passed).toBe(false);
      const { phase, stage, value } = report.firstDivergingStage!;
      expect(`${phase} ${stage}`, reportText(report)).toBe(fault.shows);
      expect(value).toBeGreaterThan(1e-4);
    });
  },
);

describe('the final softcap (H.5), where logits are beyond it', () => {
  const opened = Promise.all([withCheckpoint('pg2-28b-tiny', soundOf), readRecording('fixtures/pg2-28b-tiny')]);

  test('the first and the later tokens that were recorded have such logits', async () => {
    const [, { reference }] = await opened;
    const { logits } = reference.outcomes.get('recorded')!.greedy!;
    const [batch, steps, columns] = logits.shape as readonly [number, number, number];
    const largest = (step: number) =>
      Math.max(
        ...Array.from({ length: batch }, (_, row) =>
          Math.max(...logits.data.subarray((row * steps + step) * columns, (row * steps + step + 1) * columns)),
        ),
      );
    expect(largest(0)).toBeGreaterThan(30);
    expect(largest(1)).toBeGreaterThan(30);
  });

  test.each(SOFTCAP_FAULTS.map(({ fault, changes }) => [fault.name, fault, changes] as const))(
    '%s: no token changes, and it fails where it is',
    async (_, fault, changes) => {
      const [sound, recording] = await opened;
      const report = await verify(await fault.build(sound), recording);
      expect(outputsBeyond(report, 1e-5)).toEqual(changes);
      expect(report.greedyDifferences).toEqual([]);
      expect(report.passed).toBe(false);
    },
  );
});

describe('config.json that contradicts the shapes', () => {
  type Config = Record<string, unknown> & { text_config: Record<string, unknown> };
  const edited = (checkpoint: Checkpoint, edit: (config: Config) => void): Checkpoint => {
    const config = structuredClone(checkpoint.config) as Config;
    edit(config);
    return { ...checkpoint, config };
  };
  const HEADS = ['head_dim', 'num_attention_heads', 'num_key_value_heads'] as const;
  /** pg2-tiny has 4 heads of 32 on a width of 72, 2 KV heads and 16 image tokens. */
  const claiming = (
    claims: Partial<Record<(typeof HEADS)[number], number>>,
    absent: readonly (typeof HEADS)[number][] = [],
  ) =>
    withCheckpoint(
      'pg2-tiny',
      (checkpoint) =>
        readCheckpoint(
          edited(checkpoint, ({ text_config: text }) => {
            for (const field of absent) delete text[field];
            Object.assign(text, claims);
          }),
        ).config,
    );

  test.each([
    ['D/N', { head_dim: 72 / 4 }, []],
    ['D/N, and no number of heads', { head_dim: 72 / 4 }, ['num_attention_heads', 'num_key_value_heads']],
    ['the number of image tokens', { head_dim: 16 }, []],
    ['the number of image tokens, and no number of heads', { head_dim: 16 }, ['num_attention_heads']],
    ['twice what it is', { head_dim: 64 }, []],
  ] as const)('head_dim is %s: refused (H.8)', async (_, claims, absent) => {
    await expect(claiming(claims, absent)).rejects.toMatchObject({ code: 'config_mismatch', exitCode: 3 });
  });

  test.each([
    ['one head too many', { num_attention_heads: 5 }, []],
    ['twice the heads, head_dim absent', { num_attention_heads: 8 }, ['head_dim']],
    ['half the heads, head_dim absent', { num_attention_heads: 2 }, ['head_dim']],
    ['KV heads of PaliGemma 1', { num_key_value_heads: 1 }, []],
  ] as const)('%s: refused (H.8)', async (_, claims, absent) => {
    await expect(claiming(claims, absent)).rejects.toMatchObject({ code: 'config_mismatch', exitCode: 3 });
  });

  test.each([
    ['head_dim absent', ['head_dim']],
    ['numbers of heads absent', ['num_attention_heads', 'num_key_value_heads']],
    ['num_attention_heads alone', ['head_dim', 'num_key_value_heads']],
  ] as const)('%s: found all the same', async (_, absent) => {
    expect((await claiming({}, absent)).text).toEqual((await claiming({})).text);
  });

  test('none of the three, and sizes that were never published: refused, not guessed', async () => {
    await expect(claiming({}, HEADS)).rejects.toMatchObject({ code: 'config_mismatch' });
  });

  // A published model says by its shapes how wide a head is, even where the claim is all that config.json says.
  const wrongClaims = Object.entries(VARIANTS).flatMap(([name, config]) => {
    const { width, heads, headDim, kvHeads } = config.text;
    const counts = { num_attention_heads: heads, num_key_value_heads: kvHeads };
    const patches = imageTokens(config.vision);
    const wrong: (readonly [string, object])[] = [
      ['head_dim = D/N', { head_dim: width / heads }],
      ['head_dim = the image tokens', { head_dim: patches }],
      ['head_dim = half of it', { head_dim: headDim / 2 }],
      ['twice the heads', { num_attention_heads: 2 * heads }],
    ];
    return wrong
      .filter(([, claim]) => !('head_dim' in claim && claim.head_dim === headDim))
      .flatMap(([what, claim]) => [
        [name, what, claim, config] as const,
        [name, `${what}, and how many heads`, { ...counts, ...claim }, config] as const,
      ]);
  });
  test.each(wrongClaims)('%s, %s: refused (H.8)', (name, _, claim, config) => {
    const tensors = new Map(
      syntheticTensors(config, { format: 'hf', dtype: 'bf16' }).map(({ name: tensor, data }) => [tensor, data]),
    );
    const checkpoint: Checkpoint = {
      format: 'huggingface',
      path: name,
      tensors,
      files: [],
      sidecars: new Map(),
      warnings: [],
      checkUnchanged: async () => {},
      close: async () => {},
      config: { text_config: claim },
    };
    expect(() => readCheckpoint(checkpoint)).toThrow(/config.json makes heads \d+ wide/);
  });

  test('a stale top-level hidden_size of 2048 changes nothing (H.4)', () =>
    withCheckpoint('pg2-tiny', async (checkpoint) => {
      const stale = edited(checkpoint, (config) => Object.assign(config, { hidden_size: 2048 }));
      expect(readCheckpoint(stale).config).toEqual(readCheckpoint(checkpoint).config);
      const report = await verify((await paligemma.load(stale)).program, await readRecording('fixtures/pg2-tiny'));
      expect(report.passed, reportText(report)).toBe(true);
    }));
});

describe('rows past the vocabulary (H.18)', () => {
  const VOCABULARY = 512;
  const TABLE = 'language_model.model.embed_tokens.weight';

  /**
   * pg2-tiny with 64 rows more, as Hugging Face pads: `<image>` and rows that nobody trained, here random and large.
   */
  async function withTail(checkpoint: Checkpoint): Promise<Checkpoint> {
    const { shape, data } = await readTensor(checkpoint.tensors.get(TABLE)!);
    const tail = Float32Array.from({ length: 64 * shape[1]! }, (_, i) => 1000 * Math.sin(i * i));
    const table = tensorOf('f32', [VOCABULARY + 64, shape[1]!], [...data, ...tail]);
    return {
      ...checkpoint,
      config: { ...(checkpoint.config as object), image_token_index: VOCABULARY },
      tensors: new Map([...checkpoint.tensors, [TABLE, tensorData(table)]]),
    };
  }

  test('change neither logits nor tokens; no token past the vocabulary, `<image>` among them, comes out', () =>
    withCheckpoint('pg2-tiny', async (checkpoint) => {
      const recording = await readRecording('fixtures/pg2-tiny');
      const { program } = await paligemma.load(await withTail(checkpoint));
      const { metadata, graphs } = program;
      expect(metadata).toMatchObject({ vocabSize: VOCABULARY, imageTokenId: VOCABULARY });
      expect(
        graphs
          .find(({ name }) => name === 'decoder')!
          .outputs.find(({ name }) => name === 'logits')!
          .value.type.shape.at(-1),
      ).toBe(VOCABULARY);
      const report = await verify(program, recording);
      expect(report.passed, reportText(report)).toBe(true);
    }));

  test('win every choice when the head has them: what the test above is held against', () =>
    withCheckpoint('pg2-tiny', async (checkpoint) => {
      const {
        cases: [prompt],
      } = await readRecording('fixtures/pg2-tiny');
      const { config, weights } = readCheckpoint(await withTail(checkpoint));
      const program = soundProgram({ config: { ...config, vocabSize: VOCABULARY + 64 }, weights });
      const tokens = await generateAll({ runner: evaluatorRunner(program), metadata: program.metadata }, prompt!, {
        maxNewTokens: 2,
        stopTokenIds: [],
      });
      for (const token of tokens.flat()) expect(token).toBeGreaterThanOrEqual(VOCABULARY);
    }));
});
