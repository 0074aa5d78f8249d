import { expect, test } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { sym } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { INT4 } from '../../../ir/quantize/scheme.ts';
import { bytesData, readBytes } from '../../../ir/tensor.ts';
import { testDevice } from '../../../backends/wgsl/testing/gpu.ts';
import { itOnGpu } from '../../../verify/environment/requirement.ts';
import { randomTensor } from '../../synth/random_tensor.ts';
import { compareSides, p95Of } from './compare.ts';
import { measurePeaks } from './device_peaks.ts';
import { flopsOf } from './flops.ts';
import { isSoftware } from './measure.ts';
import { randomCodes } from '../random_codes.ts';
import type { Side } from './side.ts';

function fakeSide(name: string, log: string[]): Side {
  const note = async (what: string) => void log.push(`${name} ${what}`);
  return {
    name,
    does: '',
    encode: () => note('encode'),
    prefill: () => note('prefill').then(() => [1, 2]),
    decode: (steps) => note('decode').then(() => Array<number>(steps + 1).fill(7)),
    close: () => note('close'),
  };
}

test('sides run by turns, the other one first in every second run, and warm-ups are not counted', async () => {
  const log: string[] = [];
  const times = await compareSides(
    ['a', 'b'].map((name) => fakeSide(name, log)),
    { pixels: new Float32Array(0), tokens: [1], steps: 3, warmUps: 1, runs: 2 },
  );
  const stages = ['encode', 'prefill', 'decode'];
  const turn = (...sides: string[]) => stages.flatMap((stage) => sides.map((side) => `${side} ${stage}`));
  expect(log).toEqual([...turn('b', 'a'), ...turn('a', 'b'), ...turn('b', 'a')]);
  for (const { milliseconds, tokens, logits } of times) {
    expect(logits).toEqual([1, 2]);
    expect(Object.values(milliseconds).map((values) => values.length)).toEqual([2, 2, 2]);
    expect(tokens).toEqual([7, 7, 7, 7]);
  }
});

test('95 of 100 are at most the 95th percentile', () => {
  expect(p95Of(Array.from({ length: 100 }, (_, i) => 100 - i))).toBe(95);
  expect(p95Of([3])).toBe(3);
  expect(p95Of(Array.from({ length: 20 }, (_, i) => i + 1))).toBe(19);
});

test('operations of products and attention are two a product', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', { dtype: 'f32', shape: [1, sym('seq'), 8] });
  const y = b.op(ops.linear, [x, b.weight('w', randomTensor('f32', [6, 8], { mean: 0, std: 1 }, 1))], {});
  const cache = b.input('k', { dtype: 'f32', shape: [1, 1, 5, 3] });
  b.output(
    'z',
    b.op(ops.attention, [b.op(ops.reshape, [y], { shape: [1, sym('seq'), 2, 3] }), cache, cache], { softcap: 0 }),
  );
  const seq = 4;
  expect(flopsOf(b.build(), new Map([['seq', seq]]))).toBe(2 * seq * 6 * 8 + 2 * (2 * seq * 2 * 5 * 3));
});

test('random codes are the same from any byte on, however zero points are stored', async () => {
  const data = bytesData('f32', [64, 64], new Uint8Array(4 * 64 * 64));
  const scheme = { ...INT4, algorithm: 'rtn' } as const;
  const [codes, floats] = [randomCodes(data, scheme), randomCodes(data, { ...scheme, floatZero: true })];
  const all = await readBytes(codes.q);
  expect(await readBytes(codes.q, { begin: 1000, end: 1500 })).toEqual(all.slice(1000, 1500));
  expect(await readBytes(floats.q)).toEqual(all);
  expect(new Set(all).size).toBeGreaterThan(100);
  expect(new Set(await readBytes(codes.zeros!))).toEqual(new Set([0x88]));
  expect(new Set(new Float32Array((await readBytes(floats.zeros!)).slice().buffer))).toEqual(new Set([8]));
});

test('software GPUs are told from real ones', () => {
  expect(isSoftware('SwiftShader Device (Subzero)')).toBe(true);
  expect(isSoftware('llvmpipe (LLVM 15.0.6, 256 bits)')).toBe(true);
  expect(isSoftware('NVIDIA H100 80GB HBM3')).toBe(false);
});

itOnGpu('bandwidth and FMA peak are measured', async () => {
  const { copyBandwidth, fmaPeak } = await measurePeaks(await testDevice(), { copyBytes: 2 ** 20, milliseconds: 1 });
  expect(copyBandwidth).toBeGreaterThan(1e6);
  expect(fmaPeak).toBeGreaterThan(1e6);
});
