import { describe, expect, test } from 'vitest';
import { kernelExports } from '../../testing/kernels.ts';
import { randomSource } from '../../random_source.ts';
import { sampleWeights } from '../../testing/weights.ts';
import { FAULT_NON_FINITE, FAULT_OVERFLOW, formOf } from './form.js';
import { quantizeScalar, type Blocks } from './scalar.js';
import { isVectorized, quantizeSimd } from './simd.js';

const exports = kernelExports();

type Shape = Parameters<typeof formOf>[0];
const FORMS: readonly Omit<Shape, 'block'>[] = [
  { bits: 4, symmetric: false, floatZero: false },
  { bits: 4, symmetric: false, floatZero: true },
  { bits: 4, symmetric: true, floatZero: false },
  { bits: 8, symmetric: true, floatZero: false },
  { bits: 8, symmetric: false, floatZero: false },
];

interface Case {
  readonly values: Float32Array;
  readonly form: Blocks['form'];
  readonly dtype?: Blocks['dtype'];
  readonly algorithm: Blocks['algorithm'];
  readonly importance?: Float32Array;
}

function blocksOf({ values, form, dtype = 'f32', algorithm, importance }: Case): Blocks {
  const count = values.length / form.block;
  const bytes =
    dtype === 'f32'
      ? new Uint8Array(values.buffer)
      : new Uint8Array(Uint16Array.from(new Uint32Array(values.buffer), (x) => x >>> 16).buffer);
  return {
    bytes,
    dtype,
    count,
    form,
    algorithm,
    importance,
    q: new Uint8Array((values.length * form.bits) / 8),
    scales: new Float32Array(count).fill(0.007),
    zeros: new Float32Array(count).fill(6),
  };
}

/** Both on the same blocks: every byte, and the block that failed. */
function expectSame(test: Case): Blocks {
  const [plain, vectors] = [blocksOf(test), blocksOf(test)];
  expect(isVectorized(vectors)).toBe(true);
  expect(quantizeSimd(exports, vectors)).toEqual(quantizeScalar(plain));
  expectSameBytes(vectors, plain);
  return plain;
}

function expectSameBytes(got: Blocks, expected: Blocks): void {
  for (const part of ['scales', 'zeros', 'q'] as const) {
    const [a, b] = [got[part], expected[part]].map(({ buffer }) => Buffer.from(buffer as ArrayBuffer));
    expect(a!.equals(b!), part).toBe(true);
  }
}

describe.each(FORMS)('%o', (shape) => {
  test.each([8, 32, 600])(
    'random weights of every size, blocks of %d, a number of blocks that is no multiple of four',
    (block) => {
      const form = formOf({ ...shape, block });
      const count = block > 64 ? 5 : 27;
      const next = randomSource(block);
      const values = sampleWeights('student_t5', block * count, block, 1).map((x) => x * 2 ** (40 * next() - 30));
      const importance = sampleWeights('gauss', block, 3, 1).map((x) => Math.exp(x));
      for (const algorithm of ['rtn', 'search', 'given'] as const) expectSame({ values, form, algorithm });
      expectSame({ values, form, algorithm: 'search', importance });
    },
  );

  test('bf16', () => {
    expectSame({
      values: sampleWeights('gauss', 32 * 9, 6),
      form: formOf({ ...shape, block: 32 }),
      dtype: 'bf16',
      algorithm: 'search',
    });
  });

  test('blocks that are zero, constant, on ties, one-sided, with one outlier, below and among the subnormals of f16, up to its limit', () => {
    const block = 32;
    const fill = (f: (i: number) => number) => Float32Array.from({ length: block }, (_, i) => f(i));
    const blocks = [
      fill(() => 0),
      fill(() => -0),
      fill(() => 1),
      fill(() => -3e-5),
      fill((i) => i - 16),
      fill((i) => (i - 15.5) / 2),
      fill((i) => 100 + i / 64),
      fill((i) => -100 - i / 64),
      fill((i) => (i === 7 ? 50 : 1e-3 * (i - 16))),
      fill((i) => (i === 31 ? -9 : 0)),
      fill((i) => 2 ** -25 * (i - 16)),
      fill((i) => 1.1e-7 * (i - 3)),
      fill((i) => 1e-5 * (i - 20)),
      fill((i) => 1e-30 * i),
      fill((i) => 1e-44 * (i - 3)),
      fill((i) => 15000 * (i - 16)),
      fill((i) => (i % 2 ? 65504 : -65504) * 3.5),
    ];
    const values = Float32Array.from(blocks.flatMap((b) => [...b]));
    for (const algorithm of ['rtn', 'search', 'given'] as const)
      expectSame({ values, form: formOf({ ...shape, block }), algorithm });
  });

  test('f16 weights, all finite patterns', () => {
    const form = formOf({ ...shape, block: 32, allowOverflow: true });
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => Math.imul(i, 40503) & 0xffff).map((x) =>
      (x & 0x7c00) === 0x7c00 ? x & 0x83ff : x,
    );
    const make = (): Blocks => ({
      ...blocksOf({ values: new Float32Array(65536), form, algorithm: 'rtn' }),
      bytes: new Uint8Array(patterns.buffer),
      dtype: 'f16',
    });
    const [plain, vectors] = [make(), make()];
    expect(quantizeSimd(exports, vectors)).toEqual(quantizeScalar(plain));
    expectSameBytes(vectors, plain);
  });

  test.each([
    ['NaN', Number.NaN, FAULT_NON_FINITE],
    ['-Infinity', -Infinity, FAULT_NON_FINITE],
    ['too large', 3e7, FAULT_OVERFLOW],
  ])('%s is found in its block', (_, value, fault) => {
    const values = sampleWeights('gauss', 32 * 10, 8);
    values[6 * 32 + 5] = value;
    const form = formOf({ ...shape, block: 32 });
    for (const algorithm of ['rtn', 'search'] as const) {
      for (const quantize of [quantizeScalar, (blocks: Blocks) => quantizeSimd(exports, blocks)])
        expect(quantize(blocksOf({ values, form, algorithm }))).toEqual({ block: 6, fault });
    }
  });

  test('scales beyond f16 saturate where that is allowed, infinities never', () => {
    const values = sampleWeights('gauss', 32 * 3, 8, 1e7);
    const form = formOf({ ...shape, block: 32, allowOverflow: true });
    for (const algorithm of ['rtn', 'search'] as const)
      expect(Math.max(...expectSame({ values, form, algorithm }).scales.map(Math.abs))).toBe(65504);
    values[40] = Infinity;
    expect(quantizeScalar(blocksOf({ values, form, algorithm: 'rtn' }))).toEqual({ block: 1, fault: FAULT_NON_FINITE });
  });
});

test('importance of rows of three blocks over several tiles', () => {
  const form = formOf({ bits: 8, symmetric: true, floatZero: false, block: 32 });
  const importance = sampleWeights('gauss', 96, 4, 1).map((x) => Math.exp(2 * x));
  expectSame({ values: sampleWeights('laplace', 96 * 701, 5), form, algorithm: 'search', importance });
});
