import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../ir/builder.ts';
import { addDims, sym } from '../../ir/dim.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Graph, Program } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import {
  castFloats,
  foldConstants,
  runPassesOnProgram,
  splitLargeWeights,
  storeWeights,
} from '../../ir/passes/index.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { BackendError } from '../error.ts';
import { lowerGraph } from './lower.ts';
import type { OnnxNode } from './lower/model.ts';
import { kernelRuns, type KernelRun } from './node_placement.ts';
import { open } from './run.ts';
import type { Provider } from './session.ts';
import { onnx } from './index.ts';
import { TARGETS, type Target } from './target.ts';
import { supportsDtype, targets } from './targets.ts';
import { expectClose, type Tolerance } from '../testing/compare.ts';
import { emittedBundle } from './testing/emitted_bundle.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { opGraph, opInputs } from '../testing/op_case.ts';
import { opCases } from '../testing/op_cases.ts';
import { runNodes } from './testing/raw_model.ts';
import { programOf, tinyProgram } from '../testing/tiny_program.ts';

/** Sums of some tens of products in another order than the evaluator's float64. */
const F32: Tolerance = { absolute: 1e-5, relative: 1e-5 };
/** Attention-23 rounds scores to f16 where its operands are: 2^-11 of scores up to about 4, within an exponential. */
const F16: Tolerance = { absolute: 1e-2, relative: 1e-2 };
const MASKED = -2.3819763e38;

async function expectSame(
  program: Program,
  target: Target,
  device: Provider,
  graph: string,
  inputs: Record<string, Tensor>,
  tolerance: Tolerance,
): Promise<void> {
  await using bundle = await emittedBundle(program, 'fp32', undefined, { target });
  const runner = await open(bundle.dir, { device });
  const [actual, expected] = [await runner.run(graph, inputs), await evaluatorRunner(program).run(graph, inputs)];
  await runner.dispose();
  for (const [name, tensor] of Object.entries(expected))
    expectClose(`${target} ${device} ${name}`, actual[name], tensor, tolerance);
}

interface Sizes {
  readonly batch: number;
  readonly seq: number;
  readonly past: number;
  readonly heads: number;
  readonly kvHeads: number;
}

const SIZE = 16;

/** Attention over a cache that grows, as a decoder has it. */
function attentionGraph(
  { heads, kvHeads }: Pick<Sizes, 'heads' | 'kvHeads'>,
  softcap: number,
  dtype: 'f32' | 'f16' = 'f32',
): Graph {
  const b = new GraphBuilder('attend');
  const [batch, seq, past] = [sym('batch_size'), sym('seq'), sym('past')];
  const total = addDims(past, seq);
  const q = b.input('q', { dtype, shape: [batch, seq, heads, SIZE] });
  const [pastKey, pastValue] = ['past_key', 'past_value'].map((name) =>
    b.input(name, { dtype, shape: [batch, kvHeads, past, SIZE] }),
  );
  const [newKey, newValue] = ['key', 'value'].map((name) =>
    b.input(name, { dtype, shape: [batch, kvHeads, seq, SIZE] }),
  );
  const bias = b.input('bias', { dtype: 'f32', shape: [batch, 1, seq, total] });
  const [k, v] = [
    b.op(ops.concat, [pastKey!, newKey!], { axis: 2 }),
    b.op(ops.concat, [pastValue!, newValue!], { axis: 2 }),
  ];
  b.output('mixed', b.op(ops.attention, [q, k, v, bias], { softcap }));
  b.output('present', k);
  return b.build();
}

/**
 * Of a prefix-LM: row i of the batch has i padded slots at its left; behind a cache, new tokens are causal. Scores
 * reach some tens.
 */
function attentionInputs(
  { batch, seq, past, heads, kvHeads }: Sizes,
  dtype: 'f32' | 'f16' = 'f32',
): Record<string, Tensor> {
  const total = past + seq;
  const bias = Array.from({ length: batch * seq * total }, (_, i) => {
    const [row, query, key] = [Math.floor(i / seq / total), Math.floor(i / total) % seq, i % total];
    return key < row || (past > 0 && key > past + query) ? MASKED : 0;
  });
  const wide = (tensor: Tensor, factor: number) =>
    tensorOf(
      dtype,
      tensor.shape,
      tensor.data.map((x) => x * factor),
    );
  return {
    q: wide(randomTensor('f32', [batch, seq, heads, SIZE], 1), 8),
    past_key: randomTensor(dtype, [batch, kvHeads, past, SIZE], 2),
    past_value: randomTensor(dtype, [batch, kvHeads, past, SIZE], 3),
    key: randomTensor(dtype, [batch, kvHeads, seq, SIZE], 4),
    value: randomTensor(dtype, [batch, kvHeads, seq, SIZE], 5),
    bias: tensorOf('f32', [batch, 1, seq, total], bias),
  };
}

/**
 * Prefill and step, several rows with padding at the left, several new tokens behind a cache, one KV head and several.
 */
const ATTENTION: readonly Sizes[] = [
  { batch: 1, seq: 40, past: 0, heads: 4, kvHeads: 1 },
  { batch: 2, seq: 6, past: 0, heads: 6, kvHeads: 3 },
  { batch: 3, seq: 1, past: 9, heads: 4, kvHeads: 1 },
  { batch: 2, seq: 4, past: 7, heads: 4, kvHeads: 2 },
];

describe('attention of every target equals the evaluator', () => {
  for (const target of TARGETS) {
    for (const softcap of [0, 5]) {
      it(`${target}, softcap ${softcap}, on the cpu`, async () => {
        for (const sizes of ATTENTION)
          await expectSame(
            programOf(attentionGraph(sizes, softcap)),
            target,
            'cpu',
            'attend',
            attentionInputs(sizes),
            F32,
          );
      });
    }
  }

  it.each(['ort-cpu', 'ort-cuda'] as const)('%s over f16', async (target) => {
    for (const sizes of ATTENTION)
      await expectSame(
        programOf(attentionGraph(sizes, 5, 'f16')),
        target,
        'cpu',
        'attend',
        attentionInputs(sizes, 'f16'),
        F16,
      );
  });

  itOnGpu('portable, softcap 5, on webgpu, with more queries than a fused kernel has right', async () => {
    const [sizes] = ATTENTION as [Sizes];
    await expectSame(programOf(attentionGraph(sizes, 5)), 'portable', 'webgpu', 'attend', attentionInputs(sizes), F32);
  });
});

describe('softcap reaches no op that ignores it', () => {
  const nodesOf = (target: Target, softcap: number) =>
    lowerGraph(attentionGraph({ heads: 4, kvHeads: 1 }, softcap), { target }).nodes;

  it.each(TARGETS)('%s', (target) => {
    const nodes = nodesOf(target, 5);
    const [fused] = nodes.filter(({ opType }) => opType === 'Attention');
    if (fused) expect(fused.attributes['softcap']).toEqual({ float: 5 });
    expect(nodes.some(({ opType }) => opType === 'Tanh')).toBe(fused === undefined);
    expect(nodes.filter(({ opType }) => opType === 'GroupQueryAttention' || opType === 'MultiHeadAttention')).toEqual(
      [],
    );
    expect(nodesOf(target, 0).some(({ opType, attributes }) => opType === 'Tanh' || 'softcap' in attributes)).toBe(
      false,
    );
  });

  it('ort-cpu has the fold with a softcap, and Attention without', () => {
    const fused = (softcap: number) => nodesOf('ort-cpu', softcap).some(({ opType }) => opType === 'Attention');
    expect([fused(5), fused(0)]).toEqual([false, true]);
  });

  it('which a comparison with the evaluator finds: without the attribute, the same node is far off', async () => {
    const [sizes] = ATTENTION as [Sizes];
    const inputs = attentionInputs(sizes);
    const result = { name: 'mixed', type: { dtype: 'f32' as const, shape: [1, 40, 4, SIZE] } };
    const run = async (attributes: OnnxNode['attributes']) => {
      const nodes = lowerGraph(attentionGraph(sizes, 5), { target: 'ort-cuda' }).nodes.map((node) =>
        node.opType === 'Attention' ? { ...node, attributes: { scale: { float: 1 }, ...attributes } } : node,
      );
      return runNodes(nodes, inputs, result, 'cpu');
    };
    const expected = (await evaluatorRunner(programOf(attentionGraph(sizes, 5))).run('attend', inputs))['mixed']!;
    expectClose('with softcap', await run({ softcap: { float: 5 } }), expected, F32);
    const ignored = await run({});
    expect(Math.max(...ignored.data.map((x: number, i: number) => Math.abs(x - expected.data[i]!)))).toBeGreaterThan(
      0.1,
    );
  });
});

describe('why other fused attention is not emitted (onnxruntime-node 1.30; when one of these fails, look again)', () => {
  const heads = { num_heads: 2, scale: { float: 1 } };
  const plain = (seq: number): Record<string, Tensor> =>
    Object.fromEntries(['q', 'k', 'v'].map((name, i) => [name, randomTensor('f32', [1, seq, 64], i)]));
  const multiHead = (seq: number, device: Provider) =>
    runNodes(
      [
        {
          opType: 'MultiHeadAttention',
          domain: 'com.microsoft',
          inputs: ['q', 'k', 'v'],
          outputs: ['y'],
          attributes: heads,
        },
      ],
      plain(seq),
      { name: 'y', type: { dtype: 'f32', shape: [1, seq, 64] } },
      device,
    );

  itOnGpu(
    'MultiHeadAttention is wrong from 32 queries on where subgroups are small, as SwiftShader’s are',
    async () => {
      const differenceAt = async (seq: number) => {
        const [actual, expected] = [await multiHead(seq, 'webgpu'), await multiHead(seq, 'cpu')];
        return Math.max(...actual.data.map((x: number, i: number) => Math.abs(x - expected.data[i]!)));
      };
      expect(await differenceAt(31)).toBeLessThan(1e-6);
      if (process.env['PGCONV_GPU'] !== 'system') expect(await differenceAt(32)).toBeGreaterThan(1e-2);
    },
  );

  const grouped = (batch: number, seq: number, past: number, device: Provider) => {
    const total = past + seq;
    const inputs: Record<string, Tensor> = {
      q: randomTensor('f32', [batch, seq, 64], 1),
      k: randomTensor('f32', [batch, seq, 32], 2),
      v: randomTensor('f32', [batch, seq, 32], 3),
      past_key: randomTensor('f32', [batch, 1, past, 32], 4),
      past_value: randomTensor('f32', [batch, 1, past, 32], 5),
      seqlens: tensorOf(
        'i32',
        [batch],
        Array.from({ length: batch }, () => total - 1),
      ),
      total: tensorOf('i32', [], [total]),
      bias: tensorOf('f32', [batch, 1, seq, total], new Float64Array(batch * seq * total)),
    };
    const names = ['q', 'k', 'v', 'past_key', 'past_value', 'seqlens', 'total', '', '', '', 'bias'];
    const node: OnnxNode = {
      opType: 'GroupQueryAttention',
      domain: 'com.microsoft',
      inputs: names,
      outputs: ['y', 'present_key', 'present_value'],
      attributes: { ...heads, kv_num_heads: 1, causal: 0 },
    };
    return runNodes([node], inputs, { name: 'y', type: { dtype: 'f32', shape: [batch, seq, 64] } }, device);
  };

  it('GroupQueryAttention refuses several rows with several new tokens behind a cache', async () => {
    await grouped(2, 1, 3, 'cpu');
    await expect(grouped(2, 2, 3, 'cpu')).rejects.toThrow(/GroupQueryAttention/);
  });

  itOnGpu('GroupQueryAttention refuses causal = 0 under WebGPU', async () => {
    await expect(grouped(1, 2, 3, 'webgpu')).rejects.toThrow(/causal=0 is not implemented/);
  });
});

describe('the residual sum and its norm in one kernel', () => {
  const [opCase] = opCases.add_rms_norm;
  const graph = opGraph('add_rms_norm', opCase!, 'f32');

  it.each(['webgpu', 'ort-cuda'] as const)('%s', async (target) => {
    expect(lowerGraph(graph, { target }).nodes.map(({ opType }) => opType)).toEqual([
      'SkipSimplifiedLayerNormalization',
    ]);
    for (const sizes of opCase!.sizes)
      await expectSame(programOf(graph), target, 'cpu', 'add_rms_norm', opInputs(graph, sizes, 3), F32);
  });

  itOnGpu('on webgpu', () =>
    expectSame(programOf(graph), 'webgpu', 'webgpu', 'add_rms_norm', opInputs(graph, { b: 2, s: 7 }, 3), F32),
  );
});

/** A tiny model whose norms are followed by what the fusions look for, its head and table in several shards. */
const program = runPassesOnProgram(tinyProgram(), [foldConstants, splitLargeWeights(600)]);

function decoderInputs(batch: number, seq: number, past: number, dtype: 'f32' | 'f16' = 'f32'): Record<string, Tensor> {
  const total = past + seq;
  const caches = [0, 1].flatMap((i) =>
    ['key', 'value'].map(
      (kind, j) => [`past_key_values.${i}.${kind}`, randomTensor(dtype, [batch, 1, past, 8], 10 * i + j)] as const,
    ),
  );
  return {
    inputs_embeds: randomTensor('f32', [batch, seq, 16], 7),
    attention_mask: tensorOf(
      'i64',
      [batch, total],
      Array.from({ length: batch * total }, (_, i) => (i % total === 0 && i > 0 ? 0 : 1)),
    ),
    position_ids: tensorOf(
      'i64',
      [batch, seq],
      Array.from({ length: batch * seq }, (_, i) => past + 1 + (i % seq)),
    ),
    num_logits_to_keep: tensorOf('i64', [], [0]),
    ...Object.fromEntries(caches),
  };
}

describe('a whole model in every target equals the evaluator', () => {
  it.each(TARGETS)('%s on the cpu', async (target) => {
    for (const [batch, seq, past] of [
      [2, 5, 0],
      [1, 1, 7],
      [3, 3, 4],
    ] as const)
      await expectSame(program, target, 'cpu', 'decoder', decoderInputs(batch, seq, past), F32);
    await expectSame(
      program,
      target,
      'cpu',
      'vision_encoder',
      { pixel_values: randomTensor('f32', [2, 3, 8, 8], 1) },
      F32,
    );
    await expectSame(
      program,
      target,
      'cpu',
      'embed_tokens',
      { input_ids: tensorOf('i64', [2, 3], [0, 23, 9, 10, 19, 20]) },
      F32,
    );
  });

  it.each(TARGETS)('%s lies in its folder and is found there', async (target) => {
    await using bundle = await emittedBundle(program, 'fp32', undefined, { target });
    expect(new Set(bundle.artifact.files.map(({ path }) => path.split('/')[0]))).toEqual(
      new Set([targets[target].folder]),
    );
    expect(Object.keys(await (await open(bundle.dir)).inputDtypes('embed_tokens'))).toEqual(['input_ids']);
  });
});

describe('under WebGPU nothing falls back to the CPU', () => {
  /**
   * The provider's own placement. What it leaves on the CPU on purpose are sizes, positions and ids: vectors of i64,
   * which come from there and are never fetched from the GPU.
   */
  function expectOnGpu(title: string, runs: readonly KernelRun[], tokens: number): void {
    const onCpu = runs.filter(({ provider }) => provider === 'CPU');
    const elements = ({ shape }: KernelRun['outputs'][number]) => shape.reduce((a, b) => a * b, 1);
    expect(
      onCpu
        .filter(({ inputs, outputs }) => [...inputs, ...outputs].some(({ type }) => type.includes('float')))
        .map(({ op }) => op),
      title,
    ).toEqual([]);
    expect(
      onCpu.filter(({ outputs }) => outputs.some((output) => elements(output) > tokens)).map(({ op }) => op),
      title,
    ).toEqual([]);
    expect(
      runs.filter(({ op }) => op === 'MemcpyToHost'),
      title,
    ).toEqual([]);
    expect(runs.filter(({ provider }) => provider === 'WebGpu').length, title).toBeGreaterThan(0);
  }

  for (const target of ['portable', 'webgpu'] as const)
    itOnGpu(target, async () => {
      await using bundle = await emittedBundle(program, 'fp32', undefined, { target });
      const kernels = (graph: string, inputs: Record<string, Tensor>) =>
        kernelRuns(bundle.dir, graph, 'webgpu', inputs);
      expectOnGpu('a step', await kernels('decoder', decoderInputs(2, 1, 6)), 2 * 7);
      expectOnGpu('a prefill', await kernels('decoder', decoderInputs(2, 9, 0)), 2 * 9);
      expectOnGpu('ids', await kernels('embed_tokens', { input_ids: tensorOf('i64', [1, 4], [1, 2, 20, 3]) }), 4);
      expectOnGpu(
        'pictures',
        await kernels('vision_encoder', { pixel_values: randomTensor('f32', [2, 3, 8, 8], 3) }),
        0,
      );
    });
});

describe('scores of large images', () => {
  const [heads, tokens] = [8, 320];
  const sizes: Sizes = { batch: 1, seq: tokens, past: 0, heads, kvHeads: 1 };
  /** Of 8 heads, in f32. */
  const all = heads * tokens * tokens * 4;

  it('are those of some heads at a time at 896 px, and of all at 224 and 448', () => {
    const softmaxes = (imageTokens: number, target: Target) =>
      lowerGraph(attentionGraph({ heads, kvHeads: 1 }, 0), { target, imageTokens }).nodes.filter(
        ({ opType }) => opType === 'Softmax' || opType === 'Attention',
      ).length;
    expect([256, 1024, 4096].map((n) => softmaxes(n, 'portable'))).toEqual([1, 1, 8]);
    expect([256, 1024, 4096].map((n) => softmaxes(n, 'ort-cpu'))).toEqual([1, 1, 4]);
    expect([256, 1024, 4096].map((n) => softmaxes(n, 'ort-cuda'))).toEqual([1, 1, 1]);
  });

  it('take as little memory at once, by the runtime’s own count', async () => {
    const graph = attentionGraph(sizes, 0);
    const peak = async (imageTokens: number) => {
      await using bundle = await emittedBundle(
        { ...programOf(graph), metadata: { ...programOf(graph).metadata, imageTokens } },
        'fp32',
      );
      return Math.max(
        ...(await kernelRuns(bundle.dir, 'attend', 'cpu', attentionInputs(sizes))).map(({ peakBytes }) => peakBytes),
      );
    };
    const [whole, tiled] = [await peak(256), await peak(4096)];
    expect(whole).toBeGreaterThan(all);
    // one head's scores before and after the softmax, the mask, and what is not scores
    expect(tiled).toBeLessThan(all / 2);
  });
});

describe('narrow floats', () => {
  it('are had or refused with the reason', () => {
    for (const target of TARGETS)
      for (const dtype of ['f32', 'f16', 'u4', 'i64'] as const) expect(supportsDtype(target, dtype)).toBe(true);
    expect(TARGETS.map((target) => supportsDtype(target, 'bf16'))).toEqual([
      'portable has no bf16: neither the CPU nor the WebGPU provider has a product in bf16',
      'webgpu has no bf16: WGSL has no bf16',
      true,
      true,
    ]);
    expect(TARGETS.map((target) => onnx.narrowing('f16', target))).toEqual(['compute', 'compute', 'store', 'compute']);
    expect(onnx.narrowing('bf16', 'webgpu')).toEqual({
      reason: 'WGSL has no bf16',
      instead: 'the target ort-cpu or ort-cuda, or fp16 or fp32',
    });
    const narrow = runPassesOnProgram(program, [castFloats({ to: 'bf16' })]);
    for (const target of ['portable', 'webgpu'] as const)
      expect(() => lowerGraph(narrow.graphs[0]!, { target })).toThrow(BackendError);
  });

  it.each(['bf16', 'f16'] as const)(
    '%s on ort-cpu is how weights are stored: all else is f32, caches too',
    async (dtype) => {
      const stored = runPassesOnProgram(program, [storeWeights(dtype)]);
      const lowered = lowerGraph(stored.graphs[2]!, { target: 'ort-cpu' });
      const kinds = new Set(
        lowered.initializers
          .filter((i) => i.kind === 'weight' && i.data.shape.length === 2 && !i.name.startsWith('rope'))
          .map((i) => (i.kind === 'weight' ? i.data.dtype : '')),
      );
      expect(kinds).toEqual(new Set([dtype]));
      await expectSame(stored, 'ort-cpu', 'cpu', 'decoder', decoderInputs(2, 3, 4), F32);
      await expectSame(
        stored,
        'ort-cpu',
        'cpu',
        'vision_encoder',
        { pixel_values: randomTensor('f32', [2, 3, 8, 8], 1) },
        F32,
      );
      await expectSame(
        stored,
        'ort-cpu',
        'cpu',
        'embed_tokens',
        { input_ids: tensorOf('i64', [2, 3], [0, 23, 9, 10, 19, 20]) },
        F32,
      );
    },
  );

  it('f16 weights are widened when the session opens, not at every step', async () => {
    await using bundle = await emittedBundle(runPassesOnProgram(program, [storeWeights('f16')]), 'fp16', undefined, {
      target: 'ort-cpu',
    });
    const runs = await kernelRuns(bundle.dir, 'decoder', 'cpu', decoderInputs(1, 1, 3));
    expect(runs.filter(({ op, inputs }) => op === 'Cast' && inputs.some(({ type }) => type === 'float16'))).toEqual([]);
  });
});

// An addition where Python happens to have it, never a requirement: elsewhere it is absent from the count and says so.
const python = spawnSync('python3', ['-c', 'import onnx'], { encoding: 'utf8' });
if (python.status !== 0) console.info('not run: onnx.checker on ort-cuda, since python3 has no package onnx');
else
  describe('ort-cuda, which is not run: there is no CUDA here', () => {
    it.each(['f16', 'bf16'] as const)('is a valid model in %s, its types by inference', async (to) => {
      await using bundle = await emittedBundle(runPassesOnProgram(program, [castFloats({ to })]), 'fp16', undefined, {
        target: 'ort-cuda',
      });
      for (const { path } of bundle.artifact.files.filter((file) => file.path.endsWith('.onnx'))) {
        const script =
          'import onnx, sys; onnx.checker.check_model(sys.argv[1]); onnx.shape_inference.infer_shapes_path(sys.argv[1], sys.argv[1] + ".typed", check_type=True)';
        const { status, stderr } = spawnSync('python3', ['-c', script, join(bundle.dir, path)], { encoding: 'utf8' });
        expect(stderr, path).toBe('');
        expect(status).toBe(0);
      }
    });
  });
