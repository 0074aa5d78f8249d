import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { AutoModelForImageTextToText, env, Tensor as ClientTensor } from '@huggingface/transformers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { elementCount, readTensor, tensorData, tensorOf, type Tensor, type TensorData } from '../../ir/tensor.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { readRecorded } from '../../verify/recorded.ts';
import { reportText } from '../../verify/report.ts';
import { runCase } from '../../verify/run_case.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { COLPALI, type Spelling } from '../../fixtures/variants/spellings.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { inspect } from '../cli/inspection.ts';
import { textOf, type Io } from '../cli/io.ts';
import { convert } from '../compile/convert.ts';
import { normalizeName } from '../models/paligemma/hugging_face_names.ts';
import { openModel, type ModelSource } from '../models/open_model.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';

/*
 * ColPali end to end. That every spelling of its names, and of π0's, gives the bundle of the PaliGemma inside is shown
 * with the other generations of names (variants.test.ts); that mistakes in its head are found, in
 * mutations_retrieval.test.ts.
 */

const COLPALI_TINY = 'fixtures/colpali-tiny/hf';
const GOLDEN = 'fixtures/colpali-tiny/golden.safetensors';

let root: string;
let fp32: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-relatives-'));
  fp32 = (
    await convert(
      { checkpoint: COLPALI_TINY, backend: 'onnx', precision: 'fp32', out: join(root, 'colpali-fp32'), verify: false },
      silentReporter,
    )
  ).out;
});
afterAll(() => rm(root, { recursive: true, force: true }));
const freshFolder = () => mkdtemp(join(root, 'x'));

async function golden(): Promise<{ tensors: ReadonlyMap<string, Tensor> } & Awaited<ReturnType<typeof readRecorded>>> {
  const file = await openSafetensors(GOLDEN);
  try {
    const tensors = new Map(
      await Promise.all([...file.tensors].map(async ([name, data]) => [name, await readTensor(data)] as const)),
    );
    return { tensors, ...(await readRecorded(file.tensors)) };
  } finally {
    await file.close();
  }
}

/** How far vectors and scores are from the recorded ones at most. */
function worst({ checks }: VerifyReport): number {
  const compared = checks.filter(({ output }) => /^(?:prefill embeddings|MaxSim scores)$/.test(output));
  expect(compared.map((check) => `${check.case}: ${check.output}`)).toEqual([
    'recorded pages: prefill embeddings',
    'recorded queries: prefill embeddings',
    'recorded queries × recorded pages: MaxSim scores',
  ]);
  return Math.max(...compared.map(({ metrics }) => metrics.maxAbs!));
}

describe('ColPali of transformers', () => {
  test('the program computes what transformers recorded', async () => {
    const { model, close } = await openModel({ checkpoint: COLPALI_TINY });
    const { cases, reference } = await golden();
    const { metadata } = model.program;
    const report = await verifyProgram({
      candidate: evaluatorRunner(model.program),
      reference,
      metadata,
      cases,
      precision: 'fp32',
    });
    await close();
    expect(report.passed, reportText(report)).toBe(true);
    expect(worst(report)).toBeLessThan(1e-5);
    expect(metadata).toMatchObject({
      family: 'paligemma',
      variant: expect.stringMatching(/^ColPali on /),
      retrievalWidth: 128,
    });
  });

  test.each([
    ['fp32', 1e-5],
    ['fp16', 1e-2],
  ] as const)(
    '%s: verified in ONNX Runtime against the checkpoint and against transformers',
    async (precision, limit) => {
      const { out, verification, manifest } = await convert(
        { checkpoint: COLPALI_TINY, backend: 'onnx', precision, out: join(await freshFolder(), 'bundle') },
        silentReporter,
      );
      expect(verification!.passed).toBe(true);
      expect(new Set(verification!.checks.map(({ output }) => output))).toEqual(
        new Set([
          'image_features',
          'prefill logits',
          'suffix logits',
          'prefill embeddings',
          'suffix embeddings',
          'embeddings have length 1',
          'embeddings of padding are 0',
          'row 0 in the batch = alone',
          'embeddings of row 0 in the batch = alone',
          'row 1 in the batch = alone',
          'embeddings of row 1 in the batch = alone',
          'row 2 in the batch = alone',
          'embeddings of row 2 in the batch = alone',
          'prompt sees ahead',
          'suffix at once = token by token',
          'suffix does not see ahead',
          'MaxSim scores',
        ]),
      );
      expect(manifest.program.retrievalWidth).toBe(128);
      const report = await verifyBundle({ bundle: out, against: GOLDEN }, silentReporter);
      expect(report.passed, reportText(report)).toBe(true);
      expect(worst(report)).toBeLessThan(limit);
    },
  );

  itOnGpu(
    'fp32 on WebGPU: what transformers recorded',
    async () => {
      const report = await verifyBundle({ bundle: fp32, against: GOLDEN, device: 'webgpu' }, silentReporter);
      expect(report.candidate).toContain('webgpu');
      expect(report.passed, reportText(report)).toBe(true);
      expect(worst(report)).toBeLessThan(1e-5);
    },
    300_000,
  );

  test('a PaliGemma’s bundle does not pass for it', async () => {
    const dir = await freshFolder();
    await respell(COLPALI_TINY, dir, COLPALI.transformers, (name) => !name.startsWith('embedding_proj_layer.'));
    const { out, manifest } = await convert(
      { checkpoint: dir, backend: 'onnx', precision: 'fp32', out: join(dir, 'bundle'), verify: false },
      silentReporter,
    );
    expect(manifest.program.retrievalWidth).toBeUndefined();
    const report = await verifyBundle({ bundle: out, against: GOLDEN }, silentReporter);
    expect(report.checks.filter(({ passed }) => !passed).map(({ output }) => output)).toEqual([
      'prefill embeddings',
      'prefill embeddings',
      'MaxSim scores',
    ]);
  });

  test('@huggingface/transformers gives the vectors of pages and of questions, without and with padding', async () => {
    env.allowRemoteModels = false;
    env.localModelPath = dirname(fp32);
    const { tensors } = await golden();
    const model = await AutoModelForImageTextToText.from_pretrained(basename(fp32), { dtype: 'fp32' });
    const whole = (name: string) =>
      new ClientTensor('int64', BigInt64Array.from(tensors.get(name)!.data, BigInt), [...tensors.get(name)!.shape]);
    const { shape, data } = tensors.get('pixel_values')!;
    const pixels = new ClientTensor('float32', Float32Array.from(data), [...shape]);
    for (const [inputs, name] of [
      [{ input_ids: whole('input_ids'), attention_mask: whole('attention_mask'), pixel_values: pixels }, 'embeddings'],
      [{ input_ids: whole('query_input_ids'), attention_mask: whole('query_attention_mask') }, 'query_embeddings'],
    ] as const) {
      const { embeddings } = (await model({ ...inputs, num_logits_to_keep: new ClientTensor('int64', [1n], []) })) as {
        embeddings: ClientTensor;
      };
      expect(embeddings.dims).toEqual(tensors.get(name)!.shape);
      expect(
        Math.max(...tensors.get(name)!.data.map((value, i) => Math.abs(value - Number(embeddings.data[i])))),
        name,
      ).toBeLessThan(1e-5);
    }
    await model.dispose();
  });

  test('inspect says what it is, and from what', async () => {
    const lines: string[] = [];
    const io = {
      out: (text: Parameters<Io['out']>[0]) => void lines.push(textOf(text)),
      err: (text: Parameters<Io['err']>[0]) => void lines.push(textOf(text)),
      reporter: () => silentReporter,
      signal: new AbortController().signal,
    };
    await inspect(io, COLPALI_TINY, {} as Parameters<typeof inspect>[2]);
    const text = lines.join('\n');
    expect(text).toMatch(/: paligemma, ColPali on 3x64 decoder/);
    expect(text).toMatch(/retrievalWidth +│? *128 +│? *shape of embedding_proj_layer\.weight/);
    expect(text).not.toContain('warning');
  });
});

/** The checkpoint's tensors under other names, with the config of the PaliGemma inside, as colpali-engine keeps it. */
async function respell(
  source: string,
  out: string,
  spelling: Spelling,
  keep: (name: string) => boolean = () => true,
  change: (name: string, data: TensorData) => TensorData = (_, data) => data,
): Promise<string> {
  const checkpoint = await openCheckpoint(source);
  const named = [...checkpoint.tensors]
    .map(([name, data]) => ({ name: normalizeName(name), data }))
    .filter(({ name }) => keep(name));
  await writeSafetensors(
    join(out, 'model.safetensors'),
    named.map(({ name, data }) => ({ name: spelling(name), data: change(name, data) })),
    { format: 'pt' },
  );
  await checkpoint.close();
  const { vlm_config: config } = JSON.parse(await readFile(join(source, 'config.json'), 'utf8')) as {
    vlm_config: object;
  };
  await writeFile(join(out, 'config.json'), JSON.stringify({ ...config, architectures: ['ColPali'] }));
  return out;
}

describe('ColPali of colpali-engine, whose config is a PaliGemma’s', () => {
  const graphs = async (dir: string) =>
    Object.fromEntries(
      await Promise.all(
        (await readdir(join(dir, 'onnx')))
          .toSorted()
          .map(async (name) => [name, await readFile(join(dir, 'onnx', name), 'base64')]),
      ),
    );

  test.each(['engine', 'engine in memory'] as const)('%s: the same graphs, byte for byte', async (spelling) => {
    const dir = await freshFolder();
    const { out, manifest } = await convert(
      {
        checkpoint: await respell(COLPALI_TINY, dir, COLPALI[spelling]),
        backend: 'onnx',
        precision: 'fp32',
        out: join(dir, 'bundle'),
        verify: false,
      },
      silentReporter,
    );
    expect(await graphs(out)).toEqual(await graphs(fp32));
    expect(manifest.program).toMatchObject({ retrievalWidth: 128 });
  });
});

describe('ColPali as its authors publish it: a LoRA on the language model and on the head', () => {
  const PARTS = {
    'language_model.layers.1.self_attn.q_proj': [96, 64],
    'language_model.layers.2.mlp.down_proj': [64, 96],
    embedding_proj_layer: [128, 64],
  } as const;
  const [RANK, ALPHA] = [2, 4];
  const waves = (rows: number, columns: number, seed: number) =>
    Array.from({ length: rows * columns }, (_, i) => Math.fround(0.2 * Math.sin(seed + 1.7 * i)));
  const factors = (name: keyof typeof PARTS) => {
    const [out, inner] = PARTS[name];
    return { out, inner, a: waves(RANK, inner, 1), b: waves(out, RANK, 2) };
  };

  async function writeAdapter(): Promise<string> {
    const dir = await freshFolder();
    const tensors = (Object.keys(PARTS) as (keyof typeof PARTS)[]).flatMap((name) => {
      const { out, inner, a, b } = factors(name);
      const module = COLPALI.engine(`${name}.weight`).replace(/\.weight$/, '');
      return [
        { name: `base_model.model.${module}.lora_A.weight`, data: tensorData(tensorOf('f32', [RANK, inner], a)) },
        { name: `base_model.model.${module}.lora_B.weight`, data: tensorData(tensorOf('f32', [out, RANK], b)) },
      ];
    });
    expect(tensors.map(({ name }) => name)).toContain('base_model.model.custom_text_proj.lora_A.weight');
    expect(tensors.map(({ name }) => name)).toContain(
      'base_model.model.model.language_model.model.layers.1.self_attn.q_proj.lora_A.weight',
    );
    await writeSafetensors(join(dir, 'adapter_model.safetensors'), tensors);
    const config = {
      peft_type: 'LORA',
      task_type: 'FEATURE_EXTRACTION',
      r: RANK,
      lora_alpha: ALPHA,
      target_modules:
        '(.*(language_model).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$|.*(custom_text_proj).*$)',
      base_model_name_or_path: 'vidore/colpaligemma-3b-pt-448-base',
    };
    await writeFile(join(dir, 'adapter_config.json'), JSON.stringify(config));
    return dir;
  }

  /** The fixture with W + alpha / rank · B·A in place of W, rounded once. */
  async function writeMerged(): Promise<string> {
    const checkpoint = await openCheckpoint(COLPALI_TINY);
    const originals = new Map(
      await Promise.all(
        [...checkpoint.tensors].map(async ([name, data]) => [normalizeName(name), await readTensor(data)] as const),
      ),
    );
    await checkpoint.close();
    return respell(COLPALI_TINY, await freshFolder(), COLPALI.transformers, undefined, (name, data) => {
      const module = name.replace(/\.weight$/, '');
      if (!(module in PARTS) || !name.endsWith('.weight')) return data;
      const { inner, a, b } = factors(module as keyof typeof PARTS);
      const delta = (row: number, column: number) =>
        Array.from({ length: RANK }, (_, r) => b[row * RANK + r]! * a[r * inner + column]!).reduce(
          (sum, x) => sum + x,
          0,
        );
      const values = Array.from(
        originals.get(name)!.data,
        (w, i) => w + (ALPHA / RANK) * delta(Math.floor(i / inner), i % inner),
      );
      expect(values).toHaveLength(elementCount(data.shape));
      return tensorData(tensorOf('f32', data.shape, values));
    });
  }

  async function vectorsOf(
    source: ModelSource,
  ): Promise<{ vectors: readonly number[]; modules: readonly string[]; warnings: readonly string[] }> {
    const { model, warnings, close } = await openModel(source);
    const { cases } = await golden();
    const { metadata } = model.program;
    const vectors: number[] = [];
    for (const verifyCase of cases)
      vectors.push(
        ...(await runCase({ runner: evaluatorRunner(model.program), metadata }, verifyCase)).prefillEmbeddings!.data,
      );
    await close();
    return { vectors, modules: model.changes.map(({ weight }) => weight), warnings };
  }

  const apart = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

  test('merges into a base of either spelling, head included', async () => {
    const adapter = { dir: await writeAdapter(), scale: 1 };
    const merged = await vectorsOf({ checkpoint: await writeMerged() });
    const plain = await vectorsOf({ checkpoint: COLPALI_TINY });
    expect(apart(merged.vectors, plain.vectors)).toBeGreaterThan(1e-2);
    const engine = await respell(COLPALI_TINY, await freshFolder(), COLPALI.engine);
    for (const checkpoint of [COLPALI_TINY, engine]) {
      const adapted = await vectorsOf({ checkpoint, adapters: [adapter] });
      expect(adapted.modules).toEqual(['lm.1.q', 'lm.2.down', 'embedding_proj.w']);
      expect(adapted.warnings).toEqual([]);
      expect(adapted.vectors).toHaveLength(merged.vectors.length);
      expect(apart(adapted.vectors, merged.vectors)).toBeLessThan(1e-6);
    }
  });

  test('is refused on a PaliGemma without the head, which the adapter does not hold', async () => {
    const adapter = { dir: await writeAdapter(), scale: 1 };
    await expect(openModel({ checkpoint: 'fixtures/pg1-tiny/hf', adapters: [adapter] })).rejects.toMatchObject({
      code: 'adapter_unmatched',
      message: expect.stringMatching(/custom_text_proj.*vidore\/colpaligemma/),
    });
  });
});
