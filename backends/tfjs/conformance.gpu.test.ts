import { describe, expect, it } from 'vitest';
import type { OpName } from '../../ir/ops/index.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { opCases } from '../testing/op_cases.ts';
import { computed, expectConformance, packable } from './testing/expect_conformance.ts';

/** What is written in another way than the first case of its op is. */
const furtherForms: ReadonlySet<string> = new Set([
  'matmul: broadcast leading axes, f32',
  'where: of bools, bool',
  'cast: to bool, f32',
  'linear: with bias, f32',
  'linear: with a computed weight, f32',
  'quantized_gather: nf4, a row that ends within a block, f32',
  'quantized_linear: u8, a scale a row, f32',
  'take_last: 2, f32',
]);

describe('each op on webgpu equals the evaluator', () => {
  const first = new Set((Object.keys(opCases) as OpName[]).map((op) => computed.find((one) => one.op === op)));
  for (const one of computed.filter((one) => first.has(one) || furtherForms.has(`${one.op}: ${one.title}`)))
    itOnGpu(`${one.op}: ${one.title}`, () => expectConformance('webgpu', one));

  it('has every further form', () => {
    const titles = new Set(computed.map(({ op, title }) => `${op}: ${title}`));
    expect([...furtherForms].filter((title) => !titles.has(title))).toEqual([]);
  });
});

describe('packed weights on webgpu', () => {
  for (const one of packable.filter(({ title }) => /^(u[48]|nf4), (a row that ends|whole)/.test(title)))
    itOnGpu(one.title, () => expectConformance('webgpu', one, 'packed'));
});
