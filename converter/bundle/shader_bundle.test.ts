import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { bundleFiles } from '../../backends/wgsl/bundle/bundle_files.ts';
import { MANIFEST_PATH } from '../../backends/wgsl/bundle/manifest.ts';
import type { Extent, Step } from '../../backends/wgsl/bundle/plan.ts';
import type { Program } from '../../ir/graph.ts';
import { tensorData } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { makeManifest } from './manifest.ts';
import { showShaders } from '../cli/inspect_shaders.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { weightBytes } from '../quality/weight_bytes.ts';
import { readShaderBundle, summarizePhases } from './shader_bundle.ts';
import { tempFolders, testFields } from '../testing/bundle.ts';

const folder = tempFolders();
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
async function bundle(): Promise<string> {
  const dir = await folder();
  const phase = { graph: 'decoder', scalars: [], inputs: [], outputs: [], inPlace: [] };
  const files = bundleFiles({
    precision: 'int4',
    model: testFields.program,
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
  for (const { path, chunks } of files) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    const parts: Uint8Array[] = [];
    for await (const { bytes } of chunks()) parts.push(bytes);
    await writeFile(join(dir, path), Buffer.concat(parts));
  }
  return dir;
}

test('phases: their sizes, and their dispatches by the shader that needs no feature', async () => {
  const { plan } = await readShaderBundle(await bundle());
  expect(summarizePhases(plan)).toEqual([
    { name: 'decoder', fixed: {}, steps: 3, shaders: { rows: 2, plain: 1 }, stages: ['lm.0'] },
    { name: 'decoder.step', fixed: { seq: 1 }, steps: 1, shaders: { plain: 1 }, stages: [] },
  ]);
});

test('inspect shows them to people and to programs', async () => {
  const dir = await bundle();
  const manifest = makeManifest({ ...testFields, backend: 'wgsl' }, []);
  const shown = async (flags: Parameters<typeof showShaders>[2]) => {
    const out: string[] = [];
    await showShaders(
      {
        out: (text) => out.push(text),
        err: (text) => out.push(text),
        reporter: () => silentReporter,
        signal: new AbortController().signal,
      },
      { dir, manifest, line: 'the bundle' },
      flags,
    );
    return out.join('\n');
  };
  const text = await shown({});
  for (const part of [
    /^the bundle$/m,
    /decoder\.step *│ seq = 1 *│ *1 │/,
    /^decoder: 2 rows, 1 plain$/m,
    /2 pipelines of 3 shaders .*1 buffers that outlive a phase, 1 shared/,
    /weights\/000\.bin/,
  ])
    expect(text).toMatch(part);
  expect(text).not.toContain('computed');
  expect(await shown({ tensors: true })).toContain('computed');
  expect(JSON.parse(await shown({ json: true }))).toMatchObject({
    kind: 'bundle',
    manifest: { backend: 'wgsl' },
    plan: {
      symbols: ['capacity', 'seq'],
      pipelines: 2,
      weights: [{ name: 'table', bytes: 400, shard: 'weights/000.bin', offset: 0 }, { name: 'computed' }],
    },
  });
});

test('bytes of weights are those of the ranges, without tables that were computed', async () => {
  const dir = await bundle();
  const data = tensorData(randomTensor('f32', [7], 1));
  const program = {
    graphs: [{ constants: [{ kind: 'weight', value: { name: 'computed' }, data }] }],
  } as unknown as Program;
  expect(await weightBytes(program, { dir, paths: [], backend: 'wgsl' })).toBe(400);
});

test('a damaged or absent plan is bad input', async () => {
  const dir = await bundle();
  const file = join(dir, MANIFEST_PATH);
  const bytes = await readFile(file);
  bytes[bytes.length - 9]! ^= 4;
  await writeFile(file, bytes);
  await expect(readShaderBundle(dir)).rejects.toThrow(
    expect.objectContaining({
      code: 'manifest_damaged',
      exitCode: 3,
      place: { file, hint: expect.stringContaining('convert again') },
    }),
  );
  await expect(readShaderBundle(await folder())).rejects.toThrow(
    expect.objectContaining({ code: 'read_failed', exitCode: 3 }),
  );
});
