import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type * as Index from '../../backends/index.ts';
import { textOf } from '../cli/io.ts';
import { runCommandLine } from '../cli/main.ts';
import { silentReporter } from '../terminal/reporter.ts';

/*
 * A new backend is a folder and a line in backends/index.ts: here testing/toy_backend, and the line in this mock of the
 * index. Every command then knows it.
 */
vi.mock('../../backends/index.ts', async (original) => ({
  backends: {
    ...(await original<typeof Index>()).backends,
    toy: async () => (await import('../testing/toy_backend/index.ts')).toy,
  },
}));

const TINY = 'fixtures/pg1-tiny/hf';
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-toy-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** What a command prints. @throws Error when it fails */
async function pgconv(...args: readonly string[]): Promise<string> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runCommandLine(args, {
    out: (text) => out.push(textOf(text)),
    err: (text) => err.push(textOf(text)),
    reporter: () => silentReporter,
    signal: new AbortController().signal,
  });
  if (code !== 0) throw new Error(`exit code ${code}: ${err.join('\n')}`);
  return out.join('\n');
}

const bundle = (name: string) => join(root, name);

test('convert writes and verifies its bundle', async () => {
  const said = await pgconv('convert', TINY, ...['--to', 'toy', '--dtype', 'fp32', '--out', bundle('tiny')]);
  expect(said).toMatch(/toy fp32, \d+ files, .*; verified: \d+ checks passed/);
  const manifest = JSON.parse(await readFile(join(bundle('tiny'), 'manifest.json'), 'utf8')) as Record<string, unknown>;
  expect(manifest).toMatchObject({ backend: 'toy', precision: 'fp32' });
});

test('inspect shows what the backend tells, to people and to programs, of a bundle and of a file', async () => {
  const text = await pgconv('inspect', bundle('tiny'), '--tensors');
  expect(text).toMatch(/toy fp32, .*made by pgconv[^]*texts of graphs[^]*│ decoder +│[^]*vit\.0\.q\.w/);
  expect(JSON.parse(await pgconv('inspect', bundle('tiny'), '--json'))).toMatchObject({
    kind: 'bundle',
    manifest: { backend: 'toy' },
    graphs: [{ graph: 'decoder' }, { graph: 'embed_tokens' }, { graph: 'vision_encoder' }],
  });
  const file = await pgconv('inspect', join(bundle('tiny'), 'embed_tokens.ir'));
  expect(file).toMatch(/embed_tokens/);
  expect(file).not.toContain('decoder');
});

test('inspect --ir shows what its passes make of a graph', async () => {
  const ir = (to: string) => pgconv('inspect', TINY, '--ir', 'decoder', '--dtype', 'bf16', '--to', to);
  expect(await ir('toy')).toMatch(/: bf16\[.*\] = linear/);
  await expect(ir('wgsl')).rejects.toThrow('WGSL has no bf16');
});

test('verify compares it with the checkpoint again', async () => {
  expect(await pgconv('verify', bundle('tiny'))).toContain('passed');
});

test('run answers by it', async () => {
  const args = ['--to', 'toy', '--dtype', 'fp32', '--no-verify', '--out', bundle('shapes')];
  await pgconv('convert', 'fixtures/shapes/hf', ...args);
  const { cases } = JSON.parse(await readFile('fixtures/shapes/eval.json', 'utf8')) as {
    cases: readonly { readonly image: string; readonly prompt: string; readonly text: string }[];
  };
  const { image, prompt, text } = cases[2]!;
  const asked = ['--image', `fixtures/shapes/images/${image}`, '--prompt', prompt];
  expect(await pgconv('run', bundle('shapes'), ...asked)).toContain(text);
});

test('quality measures it, by the bytes that it stores', async () => {
  const args = ['--backends', 'toy', '--dtypes', 'fp16', '--limit', '1', '--baseline', 'evaluator', '--json'];
  const report = await pgconv('quality', TINY, ...args, '--out', bundle('report'));
  const { variants } = JSON.parse(report) as { variants: readonly { backend: string; bitsPerWeight: number }[] };
  expect(variants).toMatchObject([{ backend: 'toy', passed: true }]);
  expect(variants[0]!.bitsPerWeight).toBeGreaterThan(16);
  expect(variants[0]!.bitsPerWeight).toBeLessThan(20);
});

test('what it has not is refused by name', async () => {
  await expect(pgconv('convert', TINY, '--to', 'toy', '--dtype', 'fp32', '--target', 'webgpu')).rejects.toThrow(
    /toy bundles have no --target[^]*convert --to onnx/,
  );
});
