import { copyFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { emittedBundle } from '../../backends/onnx/testing/emitted_bundle.ts';
import { likeOthers, type LikeOthersOptions } from '../../backends/onnx/testing/like_others.ts';
import type { Program } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { castFloats, runPassesOnProgram } from '../../ir/passes/index.ts';
import { mapData } from '../../ir/views/map.ts';
import { reportText } from '../../verify/report.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { foreignBackend, verifyForeign, type VerifyForeignOptions } from '../compile/verify_foreign.ts';
import { readCheckpoint } from '../models/paligemma.ts';
import { silentReporter } from '../terminal/reporter.ts';
import {
  graphFault,
  isOp,
  nth,
  projectorScaledBy,
  soundProgram,
  textFault,
  withoutNode,
  type Fault,
  type Sound,
} from '../testing/fault.ts';
import { FAULTS } from '../testing/faults.ts';

/*
 * Exports by another program: made of ours, without manifest and metadata, with ports of other names, and names of
 * tensors that say nothing (backends/onnx/testing/like_others.ts). Mistakes are planted in the graphs themselves.
 */

const checkpoints: Checkpoint[] = [];
const sounds = new Map<string, Sound>();
const FIXTURES = ['pg1-tiny', 'pg2-tiny'] as const;
type Fixture = (typeof FIXTURES)[number];

beforeAll(async () => {
  for (const fixture of FIXTURES) {
    const checkpoint = await openCheckpoint(`fixtures/${fixture}/hf`);
    checkpoints.push(checkpoint);
    sounds.set(fixture, readCheckpoint(checkpoint));
  }
});
afterAll(() => Promise.all(checkpoints.map((checkpoint) => checkpoint.close())));

interface Asked extends LikeOthersOptions {
  readonly precision?: string;
  readonly against?: string;
  readonly verify?: Partial<VerifyForeignOptions>;
  /** A file of the folder in its place. */
  readonly file?: string;
  readonly before?: (dir: string) => Promise<void>;
}

async function judged(fixture: Fixture, program: Program, asked: Asked = {}): Promise<VerifyReport> {
  const { precision = 'fp32', against = `fixtures/${fixture}/hf`, verify, file, before, ...how } = asked;
  await using bundle = await emittedBundle(program, precision);
  await likeOthers(bundle.dir, how);
  await before?.(bundle.dir);
  const path = file === undefined ? bundle.dir : join(bundle.dir, 'onnx', file);
  const backend = await foreignBackend(path);
  // the folder goes away when this returns
  return await verifyForeign(backend!, { bundle: path, against, ...verify }, silentReporter);
}

const sound = (fixture: Fixture) => soundProgram(sounds.get(fixture)!);
const failed = (report: VerifyReport) => report.checks.filter(({ passed }) => !passed).map(({ output }) => output);

/** As optimum and transformers of several versions spell them. */
const SPELLINGS: Readonly<Record<string, (name: string) => string>> = {
  past_N_key: (name) =>
    name.replace(/^past_key_values\.(\d+)\.(\w+)$/, 'past_$1_$2').replace(/^present\.(\d+)\.(\w+)$/, 'present_$1_$2'),
  'past.N.key': (name) => name.replace(/^past_key_values\./, 'past.').replace(/^present\./, 'present_key_values.'),
  past_key_N: (name) =>
    name.replace(/^past_key_values\.(\d+)\.(\w+)$/, 'past_$2_$1').replace(/^present\.(\d+)\.(\w+)$/, 'present_$2_$1'),
};

function spelled(layers: number, spell: (name: string) => string): Record<string, string> {
  const names = Array.from({ length: layers }, (_, i) =>
    ['key', 'value'].flatMap((kind) => [`past_key_values.${i}.${kind}`, `present.${i}.${kind}`]),
  ).flat();
  return Object.fromEntries(names.map((name) => [name, spell(name)]));
}

describe('a right export passes', () => {
  test.each(FIXTURES)('of %s, as it is', async (fixture) => {
    const report = await judged(fixture, sound(fixture));
    expect(report.passed, reportText(report)).toBe(true);
    expect(report.links).toMatchObject({
      weights: { verdict: 'held' },
      program: { verdict: 'held' },
      original: { verdict: 'not tried' },
    });
    expect(report.precision).toBe('fp32');
  });

  test.each(Object.entries(SPELLINGS))('with caches as %s, positions of its own and all logits', async (_, spell) => {
    const names = { ...spelled(3, spell), image_features: 'last_hidden_state', inputs_embeds: 'inputs_embeds' };
    const report = await judged('pg1-tiny', sound('pg1-tiny'), { names, allLogits: true, positions: { from: 1 } });
    expect(report.passed, reportText(report)).toBe(true);
    expect(report.checks.map((check) => check.case)).not.toContain('last positions');
    expect(report.notes).toContain('the decoder has no input position_ids and no num_logits_to_keep');
    expect(report.notes).toContain('not asked: the last positions, since the decoder counts positions by itself');
  });

  it('whose positions begin with 0: only differences of positions count', async () => {
    const report = await judged('pg1-tiny', sound('pg1-tiny'), { positions: { from: 0 } });
    expect(report.passed, reportText(report)).toBe(true);
  });

  it('in f16, of which the weights tell; of several files the one that is meant', async () => {
    const narrow = runPassesOnProgram(sound('pg1-tiny'), [castFloats({ to: 'f16' })]);
    const asked: Asked = { precision: 'fp16', suffix: '_half' };
    const report = await judged('pg1-tiny', narrow, asked);
    expect(report.passed, reportText(report)).toBe(true);
    expect(report.precision).toBe('fp16');
    const strict = await judged('pg1-tiny', narrow, { ...asked, verify: { dtype: 'fp32' } });
    expect(strict.passed).toBe(false);
  });

  it('whose decoder multiplies by √D what the others divided', async () => {
    const root = Math.sqrt(sounds.get('pg1-tiny')!.config.text.width);
    const unscaled = await build('pg1-tiny', [
      graphFault(
        '',
        'prefill lm.0',
        'embed_tokens',
        () => (node, context) => (node.op === 'mul' ? withoutNode(node, context) : undefined),
      ),
      graphFault(
        '',
        'vision image_features',
        'vision_encoder',
        projectorScaledBy(() => 1 / root),
      ),
    ]);
    const report = await judged('pg1-tiny', unscaled, { scalesBy: root });
    expect(report.passed, reportText(report)).toBe(true);
    expect(report.notes!.join()).toContain('it scales them');
    // and where it does not: text and picture are too small
    const small = await judged('pg1-tiny', unscaled);
    expect(small.firstDivergingStage, reportText(small)).toMatchObject({ phase: 'prefill', stage: 'lm.0' });
  });

  it('against a recording, which knows of no weights', async () => {
    const report = await judged('pg1-tiny', sound('pg1-tiny'), { against: 'fixtures/pg1-tiny/golden.safetensors' });
    expect(report.passed, reportText(report)).toBe(true);
    expect(report.links).toMatchObject({ weights: { verdict: 'not tried' }, original: { verdict: 'held' } });
  });

  it('of a decoder alone, whose ports and stages --map names', async () => {
    const report = await judged('pg1-tiny', sound('pg1-tiny'), {
      file: 'decoder_model_merged.onnx',
      names: { inputs_embeds: 'x', logits: 'y' },
      verify: {
        map: new Map([
          ['inputs_embeds', 'x'],
          ['lm.0', 'x'],
        ]),
      },
    });
    expect(report.passed, reportText(report)).toBe(true);
    expect(report.checks.map(({ output }) => output)).not.toContain('image_features');
    expect(report.notes!.join()).toContain('not compared: vision_encoder and embed_tokens');
  });
});

/** Several faults in one program. */
async function build(fixture: Fixture, faults: readonly Fault[]): Promise<Program> {
  const programs = await Promise.all(faults.map((fault) => fault.build(sounds.get(fixture)!)));
  const graphs = programs[0]!.graphs.map(({ name }, i) => {
    const own = programs.map((program) => program.graphs[i]!);
    const at = faults.findIndex((fault) => fault.shows.startsWith(name === 'vision_encoder' ? 'vision' : 'prefill'));
    return own[name === 'decoder' ? 0 : Math.max(0, at)]!;
  });
  return { ...programs[0]!, graphs };
}

const named = (name: string) => FAULTS.find((fault) => fault.name === name)!;
const MISTAKES: readonly Fault[] = [
  named('no √D on text embeddings'),
  graphFault(
    '√D on text embeddings twice',
    'prefill lm.0',
    'embed_tokens',
    () =>
      (node, { builder: b, inputs }) =>
        node.op === 'mul' ? [b.op(ops.mul, [b.op(ops.mul, [inputs[0]!, inputs[1]!], {}), inputs[1]!], {})] : undefined,
  ),
  named('decoder norms scale by w, not 1 + w'),
  named('prompt is causal'),
  named('image features multiplied by √D'),
  named('image features divided by √D'),
  graphFault(
    'projector of two layers, as LLaVA has it',
    'vision image_features',
    'vision_encoder',
    () =>
      (node, { builder: b, inputs }) => {
        if (node.op !== 'linear' || !node.inputs[1]!.name.startsWith('proj')) return undefined;
        const first = b.op(ops.linear, [inputs[0]!, inputs[1]!, inputs[2]!], {});
        const width = node.outputs[0]!.type.shape.at(-1) as number;
        const same = Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0));
        return [b.op(ops.linear, [b.op(ops.gelu_erf, [first], {}), b.literal('f32', [width, width], same)], {})];
      },
  ),
  named('exact gelu in the image tower'),
  named('exact gelu in the decoder'),
  named('last norm of the image tower forgotten'),
  named('positions of patches turned'),
  named('head one row off'),
];

describe('a mistake that exporters make is told, with the first stage that differs', () => {
  test.each(MISTAKES)('$name', async (fault) => {
    const report = await judged('pg1-tiny', await fault.build(sounds.get('pg1-tiny')!));
    expect(report.passed).toBe(false);
    const { phase, stage } = report.firstDivergingStage!;
    expect(`${phase} ${stage}`, reportText(report)).toBe(fault.shows);
  });

  test.each([
    textFault('no softcap on scores', 'prefill lm.1', () => ({ attentionSoftcap: 0 })),
    graphFault('a norm left out', 'prefill lm.1', 'decoder', nth(1, isOp('rms_norm'), withoutNode)),
  ])('of PaliGemma 2: $name', async (fault) => {
    const report = await judged('pg2-tiny', await fault.build(sounds.get('pg2-tiny')!));
    expect(report.passed).toBe(false);
    const { phase, stage } = report.firstDivergingStage!;
    expect(`${phase} ${stage}`, reportText(report)).toBe(fault.shows);
  });

  it('positions that go on one further behind the prompt', async () => {
    const report = await judged('pg1-tiny', sound('pg1-tiny'), { positions: { from: 0, behindCache: 1 } });
    expect(failed(report)).toContain('suffix logits');
    expect(failed(report)).not.toContain('prefill logits');
    expect(report.firstDivergingStage).toMatchObject({ phase: 'suffix', stage: 'lm.1' });
  });

  it('a causal prompt, against what the original was recorded to say', async () => {
    const report = await judged('pg1-tiny', await named('prompt is causal').build(sounds.get('pg1-tiny')!), {
      against: 'fixtures/pg1-tiny/golden.safetensors',
    });
    expect(report.firstDivergingStage).toMatchObject({ phase: 'prefill', stage: 'lm.1' });
    expect(report.links!.original.verdict).toBe('failed');
  });
});

describe('weights, by their values', () => {
  it('name the element that differs', async () => {
    const report = await judged('pg1-tiny', sound('pg1-tiny'), {
      // an element of the table, which is stored first, far within
      before: async (dir) => {
        await using file = await open(join(dir, 'onnx', 'embed_tokens.onnx_data'), 'r+');
        await file.write(Uint8Array.of(1), 0, 1, 100 * 4 * 64 + 4 * 5);
      },
    });
    expect(report.links!.weights.verdict).toBe('failed');
    expect(report.weights!.differences).toEqual([
      expect.objectContaining({ weight: 'lm.embed', row: 100, element: 5, offset: 100 * 4 * 64 + 4 * 5 }),
    ]);
  });

  it('name rows that are exchanged, though the head that is tied to them has them in order', async () => {
    const report = await judged('pg1-tiny', sound('pg1-tiny'), {
      before: async (dir) => {
        await using file = await open(join(dir, 'onnx', 'embed_tokens.onnx_data'), 'r+');
        const rows = Buffer.alloc(2 * 64 * 4);
        await file.read(rows, 0, rows.length, 300 * 64 * 4);
        await file.write(
          Buffer.concat([rows.subarray(64 * 4), rows.subarray(0, 64 * 4)]),
          0,
          rows.length,
          300 * 64 * 4,
        );
      },
    });
    expect(report.links!.weights.verdict).toBe('failed');
    expect(report.weights!.differences).toEqual([expect.objectContaining({ weight: 'lm.embed', row: 300 })]);
  });

  it('are not tried where nothing has them', async () => {
    const { weights, ...rest } = sounds.get('pg1-tiny')!;
    const half = await build('pg1-tiny', [
      { name: '', shows: 'prefill lm.0', build: async () => soundProgram({ weights: otherThan(weights), ...rest }) },
    ]);
    const report = await judged('pg1-tiny', half);
    expect(report.links!.weights).toMatchObject({ verdict: 'not tried' });
  });
});

function otherThan(weights: Sound['weights']): Sound['weights'] {
  return new Map([...weights].map(([name, data]) => [name, mapData(data, (x) => x * 0.75 + 0.125)]));
}

describe('what cannot be understood is named', () => {
  const refused = async (asked: Asked) => {
    try {
      await judged('pg1-tiny', sound('pg1-tiny'), asked);
    } catch (error) {
      return error as Error & { readonly code: string };
    }
    throw new Error('it was not refused');
  };

  it('ports', async () => {
    const error = await refused({ names: { 'past_key_values.1.key': 'strange' } });
    expect(error).toMatchObject({ code: 'unmapped-ports' });
    expect(error.message).toContain('input "strange" is nothing that can be given');
    expect(error.message).toContain('no input is past_key_values.1.key');
    expect(error.message).toContain('Its inputs: inputs_embeds f32');
  });

  it('names of --map that are nobody’s', async () => {
    expect((await refused({ verify: { map: new Map([['loggits', 'y']]) } })).message).toContain('no "loggits"');
    expect((await refused({ verify: { map: new Map([['logits', 'y']]) } })).message).toContain('no graph has');
  });

  it('several files of a kind', async () => {
    const twice = async (dir: string) => {
      await copyFile(join(dir, 'onnx', 'embed_tokens.onnx'), join(dir, 'onnx', 'embed_tokens_other.onnx'));
    };
    const error = await refused({ before: twice });
    expect(error).toMatchObject({ code: 'ambiguous-graphs' });
    expect(error.message).toContain('embed_tokens.onnx, embed_tokens_other.onnx');
    const chosen = await judged('pg1-tiny', sound('pg1-tiny'), { before: twice, verify: { variantSuffix: 'none' } });
    expect(chosen.passed).toBe(true);
  });

  it('no original, another model, and a recording of what only a checkpoint computes', async () => {
    expect(await refused({ against: 'fixtures/pg2-tiny/hf' })).toMatchObject({ code: 'other_model' });
    const recording = { against: 'fixtures/pg1-tiny/golden.safetensors', file: 'decoder_model_merged.onnx' };
    expect(await refused(recording)).toMatchObject({ code: 'export_incomplete' });
    await using bundle = await emittedBundle(sound('pg1-tiny'));
    await likeOthers(bundle.dir);
    const backend = await foreignBackend(bundle.dir);
    await expect(verifyForeign(backend!, { bundle: bundle.dir }, silentReporter)).rejects.toMatchObject({
      code: 'export_without_against',
    });
    const { data } = await backend!.foreign.describe(bundle.dir);
    expect(data['graphs']).toMatchObject([{ role: 'decoder' }, { role: 'embed_tokens' }, { role: 'vision_encoder' }]);
  });
});
