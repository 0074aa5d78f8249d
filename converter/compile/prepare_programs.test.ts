import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROCESSORS } from '../../backends/client/images/processor.ts';
import { backends } from '../../backends/index.ts';
import type { Backend } from '../../backends/backend.ts';
import type { Program } from '../../ir/graph.ts';
import { mapData } from '../../ir/views/map.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';
import { silentReporter } from '../terminal/reporter.ts';
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
