import { execFile } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { copyFile, cp, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onnx } from '../../backends/onnx/index.ts';
import { inputsOfTests } from '../inputs/testing/inputs_of_tests.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { loadModel } from '../models/index.ts';
import { randomTensor } from '../synth/random_tensor.ts';
import { preparedFiles } from '../sidecars/prepared_files.ts';
import { readSidecar, readSidecars, type Sidecar } from '../sidecars/sidecar.ts';

const ROOT = join(import.meta.dirname, '../..');
const SHAPES = join(ROOT, 'fixtures/shapes');
const evaluation = JSON.parse(await readFile(join(SHAPES, 'eval.json'), 'utf8')) as {
  cases: { image: string; prompt: string; text: string }[];
};
let work: string;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'pgconv-readme-'));
  await symlink(join(ROOT, 'node_modules'), join(work, 'node_modules'));
});
afterAll(() => rm(work, { recursive: true }));

/** Writes a bundle of the checkpoint to models/<name>, and returns the program of its README. */
const inputs = inputsOfTests();

async function bundle(name: string, path: string, tokenizer?: Sidecar): Promise<string> {
  const checkpoint = await openCheckpoint(path);
  const { program, use } = await loadModel(checkpoint);
  const dir = join(work, 'models', name);
  const artifact = onnx.emit(program, { precision: 'fp32' });
  for (const { path: file, chunks } of artifact.files) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    for await (const { bytes } of chunks()) appendFileSync(join(dir, file), bytes);
  }
  const { files } = onnx.clientFiles({
    emitted: artifact.files.map((file) => file.path),
    prepared: preparedFiles({
      config: checkpoint.config,
      sidecars: await readSidecars(checkpoint.sidecars),
      tokenizer,
      metadata: program.metadata,
    }),
    facts: {
      metadata: program.metadata,
      use,
      name,
      tool: { name: 'pgconv', version: '0' },
      source: { kind: 'a checkpoint', files: ['x'], dtypes: ['f32'] },
      precision: 'fp32',
      verification: [],
      verifyCommand: 'x',
    },
  });
  await Promise.all(files.map((file) => writeFile(join(dir, file.name), file.text)));
  await checkpoint.close();
  const { text } = files.find((file) => file.name === 'README.md')!;
  return /```js\n([^]*?)```/.exec(text)![1]!;
}

test.each([
  ['a Hugging Face checkpoint', 'from-hf', join(SHAPES, 'hf'), undefined],
  [
    'a big_vision checkpoint and its tokenizer.model',
    'from-bv',
    join(SHAPES, 'bv_f32.npz'),
    join(SHAPES, 'tokenizer.model'),
  ],
])(
  'the program in the README of a bundle of %s answers as the reference does',
  async (_, name, path, tokenizer) => {
    const program = await bundle(
      name,
      path,
      tokenizer === undefined ? undefined : await readSidecar(await inputs().open(tokenizer)),
    );
    const sample = evaluation.cases.find((one) => one.prompt === 'caption en')!;
    await copyFile(join(SHAPES, 'images', sample.image), join(work, 'photo.jpg'));
    await writeFile(join(work, `${name}.mjs`), program);
    const { stdout } = await promisify(execFile)(process.execPath, [`${name}.mjs`], { cwd: work });
    expect(stdout).toBe(`${sample.text}\n`);
  },
  60_000,
);

test('the program in the README of a ColPali scores a page', async () => {
  // The shapes model with a head of random numbers: what is shown is that the client runs it and that vectors have
  // length 1.
  const dir = join(work, 'colpali');
  await cp(join(SHAPES, 'hf'), dir, { recursive: true });
  const base = await openCheckpoint(dir);
  const width = base.tensors.get('language_model.model.norm.weight')!.shape[0]!;
  const head = [
    { name: 'embedding_proj_layer.weight', data: randomTensor('f32', [16, width], { mean: 0, std: 0.1 }, 1) },
    { name: 'embedding_proj_layer.bias', data: randomTensor('f32', [16], { mean: 0, std: 0.1 }, 2) },
  ];
  await writeSafetensors(join(work, 'model.safetensors'), [
    ...[...base.tensors].map(([key, data]) => ({ name: key, data })),
    ...head,
  ]);
  await base.close();
  for (const file of await readdir(dir)) if (file.includes('.safetensors')) await rm(join(dir, file));
  await rename(join(work, 'model.safetensors'), join(dir, 'model.safetensors'));
  const program = await bundle('colpali', dir);
  await copyFile(join(SHAPES, 'images', evaluation.cases[0]!.image), join(work, 'photo.jpg'));
  await writeFile(join(work, 'colpali.mjs'), program.replace('Which total is due?', 'where is the circle?'));
  const { stdout } = await promisify(execFile)(process.execPath, ['colpali.mjs'], { cwd: work });
  const score = Number(stdout);
  const questionTokens = 1 + 10 + 1;
  expect(score).toBeGreaterThan(0);
  expect(score).toBeLessThan(questionTokens + 'where is the circle?'.length);
}, 60_000);
