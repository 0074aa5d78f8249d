import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROCESSORS } from '../../backends/client/images/processor.ts';
import { backends } from '../../backends/index.ts';
import type { Backend } from '../../backends/backend.ts';
import type { Program } from '../../ir/graph.ts';
import { mapData } from '../../ir/views/map.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { choiceSentence } from '../precision/chosen_by_data.ts';
import { tempFolders } from '../testing/bundle.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { preparePrograms, type PrepareOptions } from './prepare_programs.ts';

let opened: OpenModel;
let onnx: Backend;
beforeAll(async () => {
  opened = await openModel({ checkpoint: 'fixtures/pg1-tiny/hf' });
  onnx = await backends['onnx']!();
});
afterAll(() => opened.close());

/** The program with one weight of it scaled. */
function scaled(program: Program, weight: string, factor: number): Program {
  return {
    ...program,
    graphs: program.graphs.map((graph) => ({
      ...graph,
      constants: graph.constants.map((constant) =>
        constant.kind === 'weight' && constant.value.name === weight
          ? { ...constant, data: mapData(constant.data, (x) => factor * x) }
          : constant,
      ),
    })),
  };
}

async function prepare(options: Partial<PrepareOptions>) {
  const prepared = await preparePrograms(
    {
      model: opened.model,
      precision: 'fp16',
      backend: onnx,
      tokenizer: async () => undefined,
      processor: async () => PROCESSORS.huggingface,
      inputs: opened.inputs,
      verify: false,
      strict: false,
      allowOverflow: false,
      calibrate: 'none',
      ...options,
    },
    silentReporter,
  );
  await prepared.dispose();
  return prepared;
}

describe('activations that f16 does not hold', () => {
  const overflowing = (): Partial<PrepareOptions> => ({
    model: { ...opened.model, program: scaled(opened.model.program, 'lm.0.v', 1e6) },
    calibrate: 'default',
  });

  it('stay f32, caches too, and are told', async () => {
    const { bundle, findings, notes } = await prepare(overflowing());
    expect(findings.some(({ kind }) => kind === 'overflow')).toBe(true);
    expect(findings.filter(({ kept }) => !kept)).toEqual([]);
    expect(notes).toEqual(
      findings.map(({ value }) => expect.stringMatching(`^decoder/${value} .*: it stays f32\\.$`) as string),
    );
    const caches = bundle.graphs.at(-1)!.inputs.filter(({ name }) => name.startsWith('past_key_values.'));
    expect(caches.flatMap(({ name, type }) => (type.dtype === 'f32' ? [name] : []))).toEqual([
      'past_key_values.0.value',
    ]);
  });

  it('are not looked for where nobody calibrates, which is told', async () => {
    const { findings, notes } = await prepare({ ...overflowing(), calibrate: 'none' });
    expect(findings).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(/^fp16: /)]);
  });
});

describe('choices that mean nothing', () => {
  it.each<[string, Partial<PrepareOptions>, RegExp]>([
    ['no_codes', { algorithm: 'search' }, /--algorithm chooses how/],
    ['no_codes', { perChannel: true }, /--per-channel chooses how/],
    ['no_codes', { algorithm: 'rtn', perChannel: true }, /--algorithm and --per-channel choose how/],
    ['no_algorithm', { precision: 'nf4', algorithm: 'hqq' }, /none for codes of nf4/],
    ['gptq_without_calibration', { precision: 'int4', algorithm: 'gptq', calibrate: 'none' }, /gptq needs/],
    ['gptq_without_calibration', { precision: 'int4', algorithm: 'gptq', calibrate: 'default' }, /gptq needs/],
  ])('%s: %j', async (code, options, message) => {
    await expect(prepare(options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });
});

describe('what data chose', () => {
  const inputs = tempFolders();
  let shapes: OpenModel;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    shapes = await openModel({ checkpoint: 'fixtures/shapes/hf' });
    const { metadata } = shapes.model.program;
    const from = { config: shapes.checkpoint.config, sidecars: shapes.sidecars, tokenizer: shapes.tokenizer };
    tokenizer = checkpointTokenizer(await preparedFor(from, { metadata }))!;
  });
  afterAll(() => shapes.close());

  /** Pictures of shapes by their numbers, under names in this order. */
  async function folderOf(...pictures: readonly string[]): Promise<string> {
    const dir = await inputs();
    await writeFile(join(dir, 'prompts.txt'), 'caption en\n');
    for (const [i, picture] of pictures.entries())
      await copyFile(`fixtures/shapes/images/${picture}.png`, join(dir, `${i}.png`));
    return dir;
  }
  const calibrated = (options: Partial<PrepareOptions>) =>
    prepare({ model: shapes.model, tokenizer: async () => tokenizer, precision: 'int4', mixed: 'none', ...options });

  it('is known before a code is read, and helps where it won', async () => {
    const { chosenByData, help, notes } = await calibrated({ calibrate: await folderOf('000', '001') });
    expect(chosenByData).toMatchObject({ pictures: { chose: 1, judged: 1, leftOut: 0 } });
    const { matrices, weighted, gptq } = chosenByData!;
    expect(weighted.length + gptq.length).toBeGreaterThan(0);
    expect(weighted.length + gptq.length).toBeLessThanOrEqual(matrices);
    expect(help).toBe('mixed or calibrated');
    expect(notes).toEqual([`calibration: ${choiceSentence(chosenByData!)}`]);
  });

  it('is nothing where copies of one picture would judge each other, and gptq is refused then', async () => {
    const calibrate = await folderOf('000', '000', '000');
    const { chosenByData, help, notes } = await calibrated({ calibrate });
    expect(chosenByData).toMatchObject({ pictures: { chose: 1, judged: 0 }, weighted: [], gptq: [] });
    expect(help).toBe('none');
    expect(notes).toEqual([expect.stringMatching(/^calibration: one picture chose no codes/)]);
    await expect(calibrated({ calibrate, algorithm: 'gptq' })).rejects.toMatchObject({
      code: 'nothing_judges_codes',
      exitCode: 2,
      place: { file: calibrate, hint: expect.stringContaining('at least two different pictures') as string },
    });
  });

  it.each(['rtn', 'hqq'] as const)(
    'is nothing by %s: a folder is refused, but where f16 may overflow',
    async (name) => {
      const calibrate = await folderOf('000');
      await expect(calibrated({ calibrate, algorithm: name })).rejects.toMatchObject({ code: 'idle_calibration' });
      const { chosenByData, help, notes } = await calibrated({ calibrate, algorithm: name, precision: 'q4f16' });
      expect([chosenByData, help]).toEqual([undefined, 'none']);
      expect(notes).toContain(
        `calibration: ${name} chooses codes without data: the folder is looked at for what f16 does not hold.`,
      );
    },
  );

  it('is nothing by the built-in pictures, which is told where they are for nothing', async () => {
    const { chosenByData, notes } = await calibrated({ calibrate: 'default' });
    expect(chosenByData).toBeUndefined();
    expect(notes).toEqual([expect.stringMatching(/nothing came of them/)]);
    expect((await calibrated({ calibrate: 'default', precision: 'q4f16' })).notes.join()).not.toContain('calibration');
  });
});

it('zero points are floats where a backend takes such', async () => {
  const zeros = async (name: string) => {
    const { bundle } = await prepare({ precision: 'int4', backend: await backends[name]!() });
    const dtypes = bundle.graphs.flatMap(({ nodes }) =>
      nodes.flatMap((node) => (node.op === 'quantized_linear' && node.inputs[3] ? [node.inputs[3].type.dtype] : [])),
    );
    return [...new Set(dtypes)];
  };
  expect([await zeros('wgsl'), await zeros('onnx')]).toEqual([['f32'], ['u4']]);
});
