import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AutoProcessor,
  env,
  PaliGemmaForConditionalGeneration,
  RawImage,
  type PaliGemmaProcessor,
  type Tensor as ClientTensor,
} from '@huggingface/transformers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TARGETS, type Target } from '../../backends/onnx/target.ts';
import { lowerGraph } from '../../backends/onnx/lower.ts';
import { kernelRuns } from '../../backends/onnx/node_placement.ts';
import { ModelProtoSchema } from '../../backends/onnx/proto/onnx_pb.ts';
import type { Provider } from '../../backends/onnx/session.ts';
import { evaluateDim, type Dim } from '../../ir/dim.ts';
import type { Graph } from '../../ir/graph.ts';
import { foldConstants, runPassesOnProgram, storeWeights } from '../../ir/passes/index.ts';
import { elementCount, tensorOf, type Tensor } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { convert } from '../compile/convert.ts';
import { paligemma } from '../models/paligemma.ts';
import { passesFor } from '../precision/precision.ts';
import { FIXTURES, TargetBundles, writeTarget, type Fixture } from '../testing/target_bundles.ts';
import { silentReporter } from '../terminal/reporter.ts';

/** Cases of fixtures/shapes that transformers.js is asked; none of them is a tie. */
const ASKED = 8;

let targets: TargetBundles;
beforeAll(async () => {
  targets = await TargetBundles.open();
});
afterAll(() => targets.close());

describe('every target computes what the original implementations recorded', () => {
  for (const target of TARGETS)
    for (const fixture of FIXTURES)
      it(`${fixture}, ${target}, on the cpu`, async () =>
        targets.expectVerified(fixture, target, 'cpu', await targets.make(fixture, target)));

  // on WebGPU: targets.slow.test.ts
  it.each(['f16', 'bf16'] as const)('pg2-tiny, ort-cpu, weights stored as %s', async (dtype) => {
    const precision = dtype === 'f16' ? 'fp16' : 'bf16';
    await targets.expectVerified(
      'pg2-tiny',
      'ort-cpu',
      'cpu',
      await targets.make('pg2-tiny', 'ort-cpu', [foldConstants, storeWeights(dtype)], precision),
      precision,
    );
  });

  it('pg2-tiny, ort-cuda in fp16, by the kernels of the cpu', async () =>
    targets.expectVerified(
      'pg2-tiny',
      'ort-cuda',
      'cpu',
      await targets.make('pg2-tiny', 'ort-cuda', passesFor('fp16'), 'fp16'),
      'fp16',
    ));
});

it('finds a softcap that the runtime does not see', async () => {
  const dir = await targets.make('pg2-tiny', 'ort-cuda');
  expect((await targets.verified('pg2-tiny', dir, 'cpu')).passed).toBe(true);
  const path = join(dir, 'onnx-ort', 'decoder_model_merged.onnx');
  const model = fromBinary(ModelProtoSchema, await readFile(path));
  const capped = model.graph!.node.filter(
    (node) => node.opType === 'Attention' && node.attribute.some(({ name }) => name === 'softcap'),
  );
  expect(capped.length).toBe(targets.programs.get('pg2-tiny')!.metadata.layers);
  for (const node of capped) node.attribute = node.attribute.filter(({ name }) => name !== 'softcap');
  await writeFile(path, toBinary(ModelProtoSchema, model));
  expect((await targets.verified('pg2-tiny', dir, 'cpu')).passed).toBe(false);
});

it('is opened by transformers.js with subfolder onnx-ort, and answers as the original', async () => {
  const out = join(targets.root, 'shapes');
  await convert(
    { checkpoint: 'fixtures/shapes', backend: 'onnx', precision: 'fp32', out, verify: false },
    silentReporter,
  );
  await rm(join(out, 'onnx'), { recursive: true });
  const checkpoint = await openCheckpoint('fixtures/shapes');
  await writeTarget((await paligemma.load(checkpoint)).program, 'ort-cpu', out);
  await checkpoint.close();
  env.allowRemoteModels = false;
  env.localModelPath = targets.root;
  const processor = (await AutoProcessor.from_pretrained('shapes')) as PaliGemmaProcessor;
  const model = await PaliGemmaForConditionalGeneration.from_pretrained('shapes', {
    subfolder: 'onnx-ort',
    dtype: 'fp32',
  });
  const { cases } = JSON.parse(await readFile('fixtures/shapes/eval.json', 'utf8')) as {
    cases: readonly { image: string; prompt: string; text: string }[];
  };
  for (const { image, prompt, text } of cases.slice(0, ASKED)) {
    const inputs = (await processor(
      await RawImage.read(join('fixtures/shapes/images', image)),
      `<image>${prompt}`,
    )) as { input_ids: ClientTensor };
    const ids = (await model.generate({ ...inputs, max_new_tokens: 32 })) as ClientTensor;
    expect(
      processor.batch_decode(ids.slice(null, [inputs.input_ids.dims.at(-1)!, ids.dims.at(-1)!]), {
        skip_special_tokens: true,
      })[0],
    ).toBe(text);
  }
  await model.dispose();
}, 120_000);

/*
 * docs/targets.md: ops that each target emits for PaliGemma 1 and 2, and where the runtime ran them. The tables are
 * made here: `UPDATE_GOLDEN=1 npx vitest run converter/e2e/targets.gpu.test.ts` writes them. Rows of a device that is
 * not here stay as they are.
 */
const DOCS = 'docs/targets.md';
const MODELS = ['pg1-tiny', 'pg2-tiny'] as const;
/** Moves into and out of the blocks that convolutions of some CPUs want. */
const LAYOUT_KERNELS = /^Reorder(In|Out)put$/;

/** The lines between `<!-- name -->` and `<!-- /name -->` in the docs. */
async function expectInDocs(name: string, lines: readonly string[]): Promise<void> {
  const text = await readFile(DOCS, 'utf8');
  const [start, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(start) + start.length, text.indexOf(end)];
  if (process.env['UPDATE_GOLDEN'])
    await writeFile(DOCS, `${text.slice(0, from)}${lines.join('\n')}\n${text.slice(to)}`);
  else expect(text.slice(from, to)).toBe(`${lines.join('\n')}\n`);
}

const prepared = (fixture: Fixture) => runPassesOnProgram(targets.programs.get(fixture)!, passesFor('fp32'));
const sorted = (names: Iterable<string>) => [...new Set(names)].toSorted((a, b) => a.localeCompare(b, 'en'));

describe('docs/targets.md', () => {
  it('lists the ops that each target emits', async () => {
    const emitted = new Map(
      TARGETS.map((target) => [
        target,
        new Set(
          MODELS.flatMap((fixture) =>
            prepared(fixture).graphs.flatMap((graph) =>
              lowerGraph(graph, { target }).nodes.map(({ opType, domain }) =>
                domain === '' ? opType : `${opType} (${domain})`,
              ),
            ),
          ),
        ),
      ]),
    );
    const rows = sorted([...emitted.values()].flatMap((ops) => [...ops])).map(
      (op) => `| ${op} | ${TARGETS.map((target) => (emitted.get(target)!.has(op) ? '×' : '')).join(' | ')} |`,
    );
    await expectInDocs('ops', [
      `| op | ${TARGETS.join(' | ')} |`,
      `|---|${TARGETS.map(() => '---|').join('')}`,
      ...rows,
    ]);
  });

  it('lists the kernels that ran on the cpu', async () => {
    for (const target of TARGETS) await expectInDocs(`${target} on cpu`, await placementOf(target, 'cpu'));
  });

  itOnGpu(
    'lists the kernels that ran under WebGPU',
    async () => {
      for (const target of ['portable', 'webgpu'] as const)
        await expectInDocs(`${target} on webgpu`, await placementOf(target, 'webgpu'));
    },
    300_000,
  );
});

/** Kernels by provider, of a step, a picture and ids of PaliGemma 2, which has all that PaliGemma 1 has. */
async function placementOf(target: Target, device: Provider): Promise<string[]> {
  const kernels = new Map<string, Set<string>>();
  const dir = await targets.make('pg2-tiny', target);
  for (const graph of prepared('pg2-tiny').graphs)
    for (const { provider, op } of await kernelRuns(dir, graph.name, device, inputsOf(graph, { seq: 1, past: 6 })))
      if (!LAYOUT_KERNELS.test(op)) kernels.set(provider, (kernels.get(provider) ?? new Set()).add(op));
  return [...kernels]
    .toSorted(([a], [b]) => b.localeCompare(a, 'en'))
    .map(([provider, ops]) => `- ${provider}: ${sorted(ops).join(', ')}`);
}

function inputsOf(graph: Graph, sizes: { readonly seq: number; readonly past: number }): Record<string, Tensor> {
  const values = new Map(Object.entries({ ...sizes, batch_size: 1, images: 1 }));
  return Object.fromEntries(
    graph.inputs.map(({ name, type }) => {
      const shape = type.shape.map((dim: Dim) => evaluateDim(dim, values));
      return [
        name,
        type.dtype === 'i64'
          ? tensorOf('i64', shape, new Float64Array(elementCount(shape)).fill(1))
          : randomTensor(type.dtype, shape, 3),
      ];
    }),
  );
}
