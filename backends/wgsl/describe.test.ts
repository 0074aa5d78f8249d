import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tensorData } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { SHAPES_METADATA } from '../testing/shapes.ts';
import { writtenArtifact } from '../testing/written_artifact.ts';
import { bundleFiles } from './bundle/bundle_files.ts';
import { MANIFEST_PATH } from './bundle/manifest.ts';
import type { Extent, Step } from './bundle/plan.ts';
import { describe, storedTensors } from './describe.ts';

const one: Extent = { factors: [], divide: 1 };
const step = (label: string, pipeline: number): Step => ({
  label,
  pipeline,
  bindings: [
    { kind: 'weight', index: 0 },
    { kind: 'buffer', index: 0 },
  ],
  grid: [one, one, one],
  produces: [],
});

/** Two phases of a few steps over two shaders, one of which has a variant. */
async function bundle(): Promise<Awaited<ReturnType<typeof writtenArtifact>>> {
  const phase = { graph: 'decoder', scalars: [], inputs: [], outputs: [], inPlace: [] };
  const files = bundleFiles({
    precision: 'int4',
    model: SHAPES_METADATA,
    plan: {
      symbols: ['capacity', 'seq'],
      pipelines: [
        {
          variants: [
            { shader: 1, features: ['subgroups'] },
            { shader: 0, features: [] },
          ],
          access: ['read', 'read_write'],
        },
        { variants: [{ shader: 2, features: [] }], access: ['read', 'read_write'] },
      ],
      buffers: [
        { label: 'x', role: 'port', sizes: [] },
        { label: 'scratch', role: 'scratch', sizes: [] },
      ],
      phases: [
        {
          ...phase,
          name: 'decoder',
          fixed: [],
          stages: [{ name: 'lm.0', type: 'f32', shape: [], buffer: 0 }],
          steps: [step('a', 1), step('b', 0), step('c', 1)],
        },
        { ...phase, name: 'decoder.step', fixed: [{ symbol: 1, value: 1 }], stages: [], steps: [step('a', 0)] },
      ],
    },
    weights: [
      ['table', 100],
      ['computed', 7],
    ].map(([name, count]) => ({ name: name as string, data: tensorData(randomTensor('f32', [count as number], 1)) })),
    shaders: ['plain', 'plain_subgroups', 'rows'].map((name) => ({ path: `shaders/${name}.wgsl`, text: `// ${name}` })),
  });
  return writtenArtifact({ files });
}

test('phases: their sizes, and their dispatches by the shader that needs no feature', async () => {
  await using made = await bundle();
  const { data } = await describe({ dir: made.dir, files: [] });
  expect(data).toMatchObject({
    plan: {
      symbols: ['capacity', 'seq'],
      pipelines: 2,
      phases: [
        { name: 'decoder', fixed: {}, steps: 3, shaders: { rows: 2, plain: 1 }, stages: ['lm.0'] },
        { name: 'decoder.step', fixed: { seq: 1 }, steps: 1, shaders: { plain: 1 }, stages: [] },
      ],
      weights: [{ name: 'table', bytes: 400, shard: 'weights/000.bin', offset: 0 }, { name: 'computed' }],
    },
  });
});

test('people see phases, counts of shaders, buffers and shards, and weights when they ask', async () => {
  await using made = await bundle();
  const { parts, tensors } = await describe({ dir: made.dir, files: [] });
  expect(parts).toEqual([
    {
      head: ['phase', 'sizes', 'dispatches', 'shaders', 'stages'],
      rows: [
        ['decoder', 'any', 3, 2, 1],
        ['decoder.step', 'seq = 1', 1, 1, 0],
      ],
      numeric: [2, 3, 4],
    },
    'decoder: 2 rows, 1 plain',
    'decoder.step: 1 plain',
    expect.stringMatching(/^2 pipelines of 3 shaders .*, 1 buffers that outlive a phase, 1 shared ones$/),
    {
      head: ['shard', 'bytes', 'weights', 'sha256'],
      rows: [['weights/000.bin', 544, 2, expect.stringMatching(/^[0-9a-f]{16}$/)]],
      numeric: [1, 2],
    },
  ]);
  expect(tensors).toEqual({
    head: ['weight', 'bytes', 'shard', 'offset'],
    rows: [
      ['table', 400, 'weights/000.bin', 0],
      ['computed', 28, 'weights/000.bin', 512],
    ],
    numeric: [1, 3],
  });
});

test('what is stored are the ranges', async () => {
  await using made = await bundle();
  expect(await storedTensors({ dir: made.dir, files: [] })).toEqual([
    { name: 'table', bytes: 400 },
    { name: 'computed', bytes: 28 },
  ]);
});

test('a damaged or absent plan is named', async () => {
  await using made = await bundle();
  const file = join(made.dir, MANIFEST_PATH);
  const bytes = await readFile(file);
  bytes[bytes.length - 9]! ^= 4;
  await writeFile(file, bytes);
  await expect(describe({ dir: made.dir, files: [] })).rejects.toThrow(
    expect.objectContaining({
      code: 'bundle-damaged',
      place: { file, hint: expect.stringContaining('convert again') as string },
    }),
  );
  await rm(file);
  await expect(storedTensors({ dir: made.dir, files: [] })).rejects.toThrow(
    expect.objectContaining({ code: 'bundle-missing' }),
  );
});
