import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkGraph } from '../check.ts';
import { evaluateDim, type Bindings } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import { evaluateGraph } from '../evaluate.ts';
import type { Graph } from '../graph.ts';
import { parseGraph, type WeightDeclaration } from '../parse.ts';
import { printGraph } from '../print.ts';
import { elementCount, tensorData, tensorOf, type Tensor } from '../tensor.ts';
import { randomTensor, seedOf } from '../testing/random.ts';
import { roundToNearest } from '../testing/round_to_nearest.ts';
import { castData } from '../views/cast.ts';
import {
  balanceChannels,
  bindDims,
  castFloats,
  decompose,
  eliminateCommonSubexpressions,
  eliminateDeadCode,
  foldConstants,
  fuseAddRmsNorm,
  fuseAppendCache,
  narrowSizes,
  quantizeWeights,
  splitLargeWeights,
  storeWeights,
  tileAttention,
  type Keep,
  type Pass,
} from './index.ts';

/**
 * Pairs of text files: fixtures/passes/<pass>/<case>.in.ir becomes <case>.out.ir. Both are evaluated on the same random
 * inputs. `UPDATE_GOLDEN=1 npx vitest run ir/passes/golden.test.ts` writes the .out.ir files: read them before
 * committing.
 */
const ROOT = new URL('../../fixtures/passes/', import.meta.url);

/** What castFloats keeps: `keep: %name, %name.` and `keep ops: %name.` in the first line name values. */
function keepOf(text: string): ReadonlyMap<string, Keep> {
  const named = (label: string) =>
    new Set([...(new RegExp(`${label}: (.*?)\\. `).exec(text)?.[1] ?? '').matchAll(/%([\w.]+\w)/g)].map((m) => m[1]!));
  return new Map([[/graph (\w+)/.exec(text)![1]!, { values: named('keep'), ops: named('keep ops') }]]);
}

/** The pass of each folder. */
const PASSES: Readonly<Record<string, (text: string) => Pass>> = {
  balance_channels: () => balanceChannels,
  fold_constants: () => foldConstants,
  bind_dims: () => bindDims({ seq: 3, kept: 3 }),
  fuse_append_cache: () => fuseAppendCache,
  fuse_add_rms_norm: () => fuseAddRmsNorm,
  eliminate_dead_code: () => eliminateDeadCode,
  eliminate_common_subexpressions: () => eliminateCommonSubexpressions,
  narrow_sizes: () => narrowSizes,
  store_weights: () => storeWeights('f16'),
  tile_attention: () => tileAttention({ maxScoreBytes: TILE_BYTES, sizeOf: (dim) => evaluateDim(dim, SIZES) }),
  split_large_weights: () => splitLargeWeights(1024),
  decompose: () => decompose(new Set()),
  quantize_weights: () =>
    quantizeWeights({
      schemeOf: ({ name, kind }) =>
        name === 'half'
          ? 'f16'
          : name === 'plain'
            ? undefined
            : {
                format: kind === 'linear' ? 'int4' : 'int8',
                block: 8,
                symmetric: kind !== 'linear',
                algorithm: 'rtn',
                floatZero: name.startsWith('float'),
              },
      quantize: roundToNearest,
    }),
  cast_floats: (text) => castFloats({ to: 'f16', keep: keepOf(text) }),
};

/**
 * How far results may differ, relative to the largest: exact, but where the pass rounds. f16 has 11 bits; a few
 * roundings add up. A code of 4 bits is off by 1/30 of its block's range at most. f32 has 24 bits.
 */
const TOLERANCE: Readonly<Record<string, number>> = {
  cast_floats: 8 * 2 ** -11,
  store_weights: 8 * 2 ** -11,
  quantize_weights: 2 / 15,
  balance_channels: 2 ** -20,
};
/**
 * Passes whose weights hold other values than those of their names: the graph itself is evaluated, not what its text
 * says.
 */
const REMAKES_WEIGHTS: ReadonlySet<string> = new Set(['quantize_weights', 'balance_channels']);

const SIZES: Bindings = new Map([
  ['batch', 2],
  ['seq', 3],
  ['past', 2],
]);
/** Scores of two heads at those sizes. */
const TILE_BYTES = 2 * 4 * 2 * 3 * 5;

/**
 * The same values wherever the name appears, or the place in its file: a shard holds what the whole has there. A
 * narrower declaration gets them rounded.
 */
function weight({ name, dtype, shape, from }: WeightDeclaration) {
  const first = (from?.byteOffset ?? 0) / 4;
  const whole = randomTensor('f32', [first + elementCount(shape)], seedOf(from?.file ?? name));
  const data = tensorData(tensorOf('f32', shape, whole.data.subarray(first)));
  return castData(from ? { ...data, from } : data, dtype);
}

/** Inputs of the original graph; the rewritten one may take them in another dtype. */
function inputsOf(original: Graph, graph: Graph): Record<string, Tensor> {
  return Object.fromEntries(
    original.inputs.map(({ name, type }, i) => {
      const shape = type.shape.map((d) => evaluateDim(d, SIZES));
      return [name, tensorOf(graph.inputs[i]!.type.dtype, shape, randomTensor(type.dtype, shape, seedOf(name)).data)];
    }),
  );
}

async function expectSameResults(before: Graph, after: Graph, tolerance: number): Promise<void> {
  const stages = before.stages.map((port) => port.name);
  const expected = await evaluateGraph(before, inputsOf(before, before), { stages });
  const actual = await evaluateGraph(after, inputsOf(before, after), { stages });
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, { shape, data, dtype }] of Object.entries(expected)) {
    const other = actual[name]!;
    expect(other.shape).toEqual(shape);
    const bound = tolerance * Math.max(0, ...Array.from(data, Math.abs));
    const worst = data.findIndex(
      (x: number, i: number) =>
        !(Object.is(x, other.data[i]) || (isFloat(dtype) && Math.abs(x - other.data[i]!) <= bound)),
    );
    expect(worst, `${name}[${worst}]: ${data[worst]} became ${other.data[worst]}`).toBe(-1);
  }
}

describe.each(readdirSync(ROOT))('%s', (folder) => {
  const cases = readdirSync(new URL(`${folder}/`, ROOT)).filter((file) => file.endsWith('.in.ir'));
  test.each(cases.map((file) => file.replace('.in.ir', '')))('%s', async (name) => {
    const text = readFileSync(new URL(`${folder}/${name}.in.ir`, ROOT), 'utf8');
    const outFile = new URL(`${folder}/${name}.out.ir`, ROOT);
    const before = parseGraph(text, { weight });
    checkGraph(before);
    const pass = PASSES[folder]!(text);
    const after = pass.run(before);
    checkGraph(after);
    if (process.env['UPDATE_GOLDEN']) writeFileSync(outFile, printGraph(after));
    const golden = readFileSync(outFile, 'utf8');
    expect(printGraph(after)).toBe(golden);
    await expectSameResults(
      before,
      REMAKES_WEIGHTS.has(folder) ? after : parseGraph(golden, { weight }),
      TOLERANCE[folder] ?? 0,
    );
    expect(pass.run(after), 'a second run finds nothing').toBe(after);
  });
});
