import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addDims, printDim, sym } from '../../../ir/dim.ts';
import { appendCacheKernel } from './append_cache.ts';
import { attentionKernel } from './attention.ts';
import { attentionStepKernels } from './attention_step.ts';
import { conv2dKernel, windowsKernel } from './conv2d.ts';
import { dequantizeKernel } from './dequantize.ts';
import { PLAIN, type Epilogue } from './epilogue.ts';
import { gatherKernel } from './gather.ts';
import { gemmKernel } from './gemm.ts';
import type { Kernel } from './kernel.ts';
import type { LinearResult, LinearSpec } from './linear.ts';
import type { MatrixForm } from './matrix_form.ts';
import { matmulKernel } from './matmul.ts';
import { matvecKernel } from './matvec.ts';
import { layerNormKernel, rmsNormKernel } from './norms.ts';
import { ropeKernel } from './rope.ts';
import { reduceMeanKernel, softmaxKernel } from './rows.ts';
import { shaderText } from './wgsl_text.ts';

/*
 * Whole shaders as they are compiled, one of each kernel and of each branch of its text, in `goldens/`: what a change
 * of a kernel does to them is read in review, and no device compiles them for that. `UPDATE_GOLDEN=1` writes them
 * anew. That texts compute what they should is shown on a device, in the tests of the kernels.
 */

const FOLDER = join(import.meta.dirname, 'goldens');
const [batch, seq, past] = [sym('batch_size'), sym('seq'), sym('past')];
const total = addDims(past, seq);
const SYMBOLS = ['batch_size', 'capacity', 'past', 'seq'];
const epsilon = 1e-6;

const F32: MatrixForm = { kind: 'f32' };
const F16: MatrixForm = { kind: 'f16' };
const Q8: MatrixForm = { kind: 'int8', block: 32, zeros: false, wide: false };
const Q4: MatrixForm = { kind: 'int4', block: 32, zeros: true, wide: false };
const NF4: MatrixForm = { kind: 'nf4', block: 64, zeros: false, wide: false };
const WIDE: MatrixForm = { kind: 'int4', block: 64, zeros: true, wide: true };

/** `x` by a matrix, gelu on one half of its rows and a product with the other. */
const GATED: Epilogue = {
  text: 'gelu_of(y0) * y1',
  operands: [],
  functions: ['fn gelu_of(x: f32) -> f32 { return 0.5 * x * (1.0 + tanh(0.7978846 * (x + 0.044715 * x * x * x))); }'],
};
const RESIDUAL: Epilogue = {
  text: 'y0 + e0[column] + e1[row * 96u + column]',
  operands: ['e0', 'e1'].map((name) => ({ name, type: 'array<f32>' })),
  functions: [],
};

function product(form: MatrixForm, rows: LinearSpec['rows'], columns: number, epilogue = PLAIN): LinearSpec {
  const [count, matrix] = [96, 0];
  const parts = [{ matrix, first: 0, count }] as const;
  return {
    rows,
    columns,
    matrices: [{ form, outputs: epilogue === GATED ? 2 * count : count }],
    results: [
      {
        kind: 'plain',
        parts: epilogue === GATED ? [...parts, { matrix, first: count, count }] : parts,
        epilogue,
      },
    ],
  };
}

/** [q; k; v] of 4 query heads on 2 of keys, from one matrix, into the cache. */
function heads(form: MatrixForm): LinearSpec {
  const [headDim, q, kv] = [32, 128, 64];
  const cache = { kind: 'append', heads: 2, headDim, batch, seq: 1 } as const;
  const results: LinearResult[] = [
    { kind: 'rope', part: { matrix: 0, first: 0, count: q }, heads: 4, headDim, scale: 0.25 },
    { ...cache, part: { matrix: 0, first: q, count: kv }, rotated: true },
    { ...cache, part: { matrix: 0, first: q + kv, count: kv }, rotated: false },
  ];
  return { rows: [batch, 1], columns: 96, norm: { epsilon }, matrices: [{ form, outputs: q + 2 * kv }], results };
}

const attention = { batch, seq, total, heads: 4, kvHeads: 2, headDim: 32, softcap: 50, bias: true } as const;
const step = attentionStepKernels({ ...attention, seq: 1 });
const windows = { batch, channels: 3, size: [28, 28], window: [14, 14], strides: [14, 14], padding: [0, 0] } as const;
const rope = { batch, seq, heads: 4, headDim: 32 } as const;
const norm = { shape: [batch, seq, 96] as const, residual: true, storeSum: true };

const KERNELS: Readonly<Record<string, Kernel>> = {
  append_cache: appendCacheKernel({ ...rope, past }),
  attention: attentionKernel(attention),
  attention_of_known_sizes: attentionKernel({
    batch: 1,
    seq: 16,
    total: 16,
    heads: 4,
    kvHeads: 4,
    headDim: 18,
    softcap: 0,
    bias: false,
  }),
  attention_join: step.join,
  attention_step: step.split,
  conv2d: conv2dKernel(windows, F16, 5),
  dequantize: dequantizeKernel(Q4, 11, 96),
  gather: gatherKernel({
    rows: [batch, seq],
    columns: 96,
    form: Q4,
    parts: [{ first: 0, count: 11 }],
    epilogue: PLAIN,
  }),
  gemm_f16_gated: gemmKernel(product(F16, [batch, seq], 96, GATED)),
  gemm_f32_residual: gemmKernel(product(F32, [batch, seq], 96, RESIDUAL)),
  gemm_nf4: gemmKernel(product(NF4, [batch, seq], 192)),
  gemm_q4z_odd_columns: gemmKernel(product(Q4, [batch, seq], 33)),
  gemm_q4zw: gemmKernel(product(WIDE, [batch, seq], 192)),
  gemm_q8_few_rows: gemmKernel(product(Q8, [16], 96)),
  layer_norm: layerNormKernel({ shape: norm.shape, epsilon }),
  matmul: matmulKernel({ a: [batch, 4, seq, 32], b: [batch, 4, 32, total] }),
  matvec_f16_residual: matvecKernel(product(F16, [batch, 1], 96, RESIDUAL)),
  matvec_f32: matvecKernel(product(F32, [1], 33)),
  matvec_nf4: matvecKernel(product(NF4, [batch, 1], 192)),
  matvec_q4z_gated: matvecKernel({ ...product(Q4, [batch, 1], 96, GATED), norm: { epsilon } }),
  matvec_q4z_rounded: matvecKernel({ ...product(Q4, [batch, 1], 96), mayRound: true }),
  matvec_q8_heads: matvecKernel(heads(Q8)),
  reduce_mean: reduceMeanKernel([batch, seq, 96]),
  rms_norm: rmsNormKernel({ ...norm, norm: { epsilon } }),
  rms_norm_behind: rmsNormKernel({ ...norm, post: { epsilon }, norm: { epsilon } }),
  rope: ropeKernel({ ...rope, scale: 0.25 }),
  rope_into_cache: ropeKernel({ ...rope, scale: 1, append: { past } }),
  softmax: softmaxKernel([batch, 4, seq, total]),
  windows: windowsKernel(windows),
};

/** `⌈batch_size · 4 / 1⌉ × 1 × 1`: how many workgroups each kernel is given. */
const grids = Object.entries(KERNELS).map(
  ([name, { grid }]) =>
    `${name}: ${grid.map(({ factors, divide }) => `⌈${factors.map(printDim).join(' · ')} / ${divide}⌉`).join(' × ')}\n`,
);

/** File to text: the plain body, a file for each variant with features, and one of all grids. */
const texts = new Map([
  ['grids.txt', grids.join('')],
  ...Object.entries(KERNELS).flatMap(([name, kernel]) => [
    [`${name}.wgsl`, shaderText(kernel, kernel.body, SYMBOLS)] as const,
    ...(kernel.variants ?? []).map(
      ({ features, body }) =>
        [`${name}+${features.join('+')}.wgsl`, shaderText(kernel, body, SYMBOLS, features)] as const,
    ),
  ]),
]);

if (process.env['UPDATE_GOLDEN']) {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
  for (const [file, text] of texts) writeFileSync(join(FOLDER, file), text);
}

describe('the text of', () => {
  it.each([...texts])('%s', (file, text) => {
    expect(text).toBe(readFileSync(join(FOLDER, file), 'utf8'));
  });
});

it('every golden is of a kernel, and every kernel has one', () => {
  expect(readdirSync(FOLDER).sort()).toEqual([...texts.keys()].sort());
});
