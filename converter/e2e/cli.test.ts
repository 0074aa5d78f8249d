import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { testBuild } from '../testing/build.ts';
import { tempFolders } from '../testing/bundle.ts';
import { printedOutput } from '../testing/printed_output.ts';
import { TOOL } from '../version.ts';

const build = testBuild();
const tempFolder = tempFolders();
const fixture = (path: string) => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(
  args: readonly string[],
  cwd?: string,
  env: Readonly<Record<string, string>> = {},
): { child: ChildProcess; stderr: () => string; ended: Promise<Run> } {
  const child = spawn(process.execPath, [join(build, 'converter/cli.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return {
    child,
    stderr: () => stderr,
    ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr }))),
  };
}

/** Runs a command to its end; what it prints with --json follows its schema. */
async function pgconv(...args: readonly string[]): Promise<Run> {
  const run = await start(args).ended;
  if (args.includes('--json')) printedOutput(run.stdout);
  return run;
}

/** Resolves when stderr says `text`. */
async function says(run: ReturnType<typeof start>, text: string): Promise<void> {
  while (!run.stderr().includes(text)) {
    if (run.child.exitCode !== null) throw new Error(`ended without saying "${text}": ${run.stderr()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('--help names every command and every exit code; --version is the package’s', async () => {
  const { code, stdout, stderr } = await pgconv('--help');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const word of ['convert', 'inspect', 'verify', 'run', 'quality', 'synth', 'clean', '--version'])
    expect(stdout).toContain(word);
  for (const exitCode of [0, 1, 2, 3, 4, 70, 130]) expect(stdout).toMatch(new RegExp(`(^|\\s)${exitCode}\\s+\\w`, 'm'));
  expect((await pgconv('--version')).stdout).toBe(`${TOOL.version}\n`);
});

test.each([
  [
    'convert',
    [
      '<checkpoint>',
      '--to',
      'wgsl',
      '--target',
      '--dtype',
      'fp32',
      'fp16',
      '--out',
      '--force',
      '--no-verify',
      '--tokenizer',
      '--samples',
      '--strict',
      '--allow-overflow',
      '--json',
    ],
  ],
  ['inspect', ['<path>', '--ir', '--json']],
  ['verify', ['<bundle>', '--against', '--device', '--json']],
  [
    'run',
    [
      '<bundle>',
      '--image',
      '--frames',
      '--every',
      '--prompt',
      '--max-new-tokens',
      '--draw',
      '--resize',
      '--device',
      '--no-check',
      '--json',
    ],
  ],
  [
    'quality',
    [
      '--dtypes',
      '--backends',
      '--samples',
      '--limit',
      '--baseline',
      '--algorithm',
      '--mixed',
      '--calibrate',
      '--markdown',
    ],
  ],
  ['synth', ['--variant', 'paligemma-3b-224', '--format', '--dtype', '--out', '--layers', '--vision-layers', '--seed']],
])('%s --help tells its options and shows examples', async (command, words) => {
  const { code, stdout, stderr } = await pgconv(command, '--help');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const word of words) expect(stdout).toContain(word);
  expect(stdout).toMatch(new RegExp(`Examples:\n {2}pgconv ${command}`));
});

test.each<[string, readonly string[], RegExp]>([
  ['no command', [], /Usage: pgconv/],
  ['an unknown command, with the one that was meant', ['convrt'], /Did you mean convert\?/],
  ['an unknown option', ['inspect', 'x', '--jsno'], /unknown option '--jsno'[\s\S]*Did you mean --json\?/],
  ['a missing argument', ['convert', '--to', 'onnx', '--dtype', 'fp16'], /missing required argument 'checkpoint'/],
  ['a missing option', ['convert', 'x', '--to', 'onnx'], /required option '--dtype <precision>' not specified/],
  ['a choice that is none', ['convert', 'x', '--to', 'tflite', '--dtype', 'fp16'], /Allowed choices are onnx/],
  ['a number that is none', ['run', 'x', '--image', 'a', '--prompt', 'b', '--max-new-tokens', '-3'], /whole number/],
  ['too many arguments', ['verify', 'a', 'b'], /too many arguments/],
  [
    'a dtype that the backend does not have',
    ['convert', fixture('pg1-tiny/hf'), '--to', 'wgsl', '--dtype', 'q4f16'],
    /wgsl has no q4f16: activations are f32[\s\S]*try: choose int4/,
  ],
  [
    'an option that means nothing to the backend',
    [
      'convert',
      fixture('pg1-tiny/hf'),
      '--to',
      'wgsl',
      '--dtype',
      'int8',
      '--quant-ops',
      'qdq',
      '--accuracy-level',
      '4',
    ],
    /--quant-ops means nothing to wgsl/,
  ],
  [
    'a target for a backend that has none',
    ['convert', fixture('pg1-tiny/hf'), '--to', 'wgsl', '--dtype', 'fp32', '--target', 'webgpu'],
    /no --target/,
  ],
  [
    'a graph that does not exist',
    ['inspect', fixture('shapes'), '--ir', 'encoder'],
    /unknown_graph[\s\S]*try: choose one of vision_encoder, embed_tokens, decoder/,
  ],
])('%s is bad usage: exit 2', async (_, args, message) => {
  const plain = await pgconv(...args);
  expect(plain).toMatchObject({ code: 2, stdout: '' });
  expect(plain.stderr).toMatch(message);
  const asJson = await pgconv(...args, '--json');
  expect(asJson.code).toBe(2);
  expect(JSON.parse(asJson.stdout)).toMatchObject({
    error: { code: expect.any(String), message: expect.any(String), hint: expect.any(String) },
  });
});

test('bad input is exit 3, with its place for people and for programs', async () => {
  const dir = await tempFolder();
  const file = join(dir, 'model.safetensors');
  await writeFile(file, new Uint8Array(7));
  for (const command of [
    ['inspect', file],
    ['convert', file, '--to', 'onnx', '--dtype', 'fp16', '--out', join(dir, 'out')],
  ]) {
    const plain = await pgconv(...command);
    expect(plain).toMatchObject({ code: 3, stdout: '' });
    expect(plain.stderr).toContain(file);
    expect(plain.stderr).toContain('try: ');
    const { code, stdout } = await pgconv(...command, '--json');
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ error: { file, hint: expect.any(String) } });
  }
  expect(await readdir(dir)).toEqual(['model.safetensors']);
});

test('from a checkpoint to answers: convert, inspect, run, verify', async () => {
  const dir = await tempFolder();
  const out = join(dir, 'bundle');
  const args = ['convert', fixture('shapes/hf'), '--to', 'onnx', '--dtype', 'fp16', '--no-verify', '--out', out];
  const converted = await pgconv(...args, '--json');
  expect(converted).toMatchObject({ code: 0 });
  expect(JSON.parse(converted.stdout)).toMatchObject({ out, manifest: { precision: 'fp16' } });
  expect(await readdir(dir)).toEqual(['bundle']);

  const again = await pgconv(...args, '--json');
  expect(again.code).toBe(4);
  expect(JSON.parse(again.stdout)).toMatchObject({
    error: { code: 'exists', file: out, hint: expect.stringContaining('--force') },
  });
  expect((await pgconv(...args, '--force')).code).toBe(0);

  const inspected = await pgconv('inspect', out, '--json');
  expect(JSON.parse(inspected.stdout)).toMatchObject({ kind: 'bundle', graphs: [{}, {}, {}] });
  const people = await pgconv('inspect', out);
  expect(people).toMatchObject({ code: 0, stderr: '' });
  for (const word of ['decoder_model_merged_fp16.onnx', 'nodes', 'parameters', 'MatMul'])
    expect(people.stdout).toContain(word);

  const png = join(dir, 'boxes.png');
  const asked = await pgconv(
    'run',
    out,
    '--image',
    fixture('shapes/images/000.png'),
    '--prompt',
    'detect green circle',
    '--draw',
    png,
    '--json',
  );
  expect(asked.code).toBe(0);
  expect(JSON.parse(asked.stdout)).toMatchObject({
    text: expect.stringContaining('green circle'),
    boxes: [{ label: 'green circle' }],
  });
  expect((await readFile(png)).subarray(1, 4).toString()).toBe('PNG');

  const verified = await pgconv('verify', out, '--against', fixture('shapes/hf'), '--json');
  expect(verified.code).toBe(0);
  expect(JSON.parse(verified.stdout)).toMatchObject({ passed: true });

  const manifest = await readFile(join(out, 'manifest.json'), 'utf8');
  // onnxruntime's telemetry, left on, would recurse over the command line until the process dies
  const endless = ['run', out, '--image', fixture('shapes/images/000.png'), '--prompt', 'cat '.repeat(9000)];
  expect(await pgconv(...endless)).toMatchObject({ code: 3, stderr: expect.stringContaining('too_long') });
  await writeFile(join(out, 'manifest.json'), manifest.replace('"fp16"', '"fp32"'));
  const damaged = await pgconv('verify', out, '--against', fixture('shapes/hf'), '--json');
  expect(damaged.code).toBe(3);
  expect(JSON.parse(damaged.stdout)).toMatchObject({
    error: { code: 'manifest_damaged', file: join(out, 'manifest.json') },
  });
});

test('a bundle that does not compute what the original computes is exit 1, with the report', async () => {
  const dir = await tempFolder();
  const out = join(dir, 'bundle');
  // bf16 weights cannot pass as the f32 weights that the recording was made with
  expect(
    (
      await pgconv(
        'convert',
        fixture('pg1-tiny/bv_bf16.npz'),
        '--to',
        'onnx',
        '--dtype',
        'fp32',
        '--no-verify',
        '--out',
        out,
      )
    ).code,
  ).toBe(0);
  const against = ['verify', out, '--against', fixture('pg1-tiny/golden.safetensors')];
  const { code, stdout } = await pgconv(...against, '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ passed: false, firstDivergingStage: { stage: expect.any(String) } });
  const plain = await pgconv(...against);
  expect(plain.code).toBe(1);
  expect(plain.stdout).toContain('verification FAILED');
});

test('inspect tells what a checkpoint is, from where each size is known, and prints its IR', async () => {
  const { code, stdout } = await pgconv('inspect', fixture('pg1-tiny/hf'), '--json');
  expect(code).toBe(0);
  const { tensors, ...about } = JSON.parse(stdout) as { tensors: readonly unknown[] };
  expect(about).toMatchObject({
    kind: 'checkpoint',
    format: 'huggingface',
    family: 'paligemma',
    dtypes: [{ dtype: 'f32', tensors: tensors.length }],
  });
  expect((about as { inferences?: readonly unknown[] }).inferences?.length).toBeGreaterThan(5);
  const ir = await pgconv('inspect', fixture('pg1-tiny/bv_f32.npz'), '--ir', 'embed_tokens');
  expect(ir.stdout).toMatch(/^graph embed_tokens \{\n {2}input %input_ids: i64\[batch_size, seq\]/);
});

test('a bundle of shaders: converted, inspected, and refused a device that is another backend’s', async () => {
  const out = join(await tempFolder(), 'bundle');
  const converted = await pgconv(
    'convert',
    fixture('shapes/hf'),
    '--to',
    'wgsl',
    '--dtype',
    'int4',
    '--no-verify',
    '--out',
    out,
    '--json',
  );
  expect(converted.code, converted.stderr).toBe(0);
  const { manifest } = JSON.parse(converted.stdout) as { manifest: { files: { path: string }[] } };
  for (const path of [
    'README.md',
    'manifest.pgw',
    'preprocessor_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'weights/000.bin',
  ])
    expect(manifest.files.map((file) => file.path)).toContain(path);
  const inspected = await pgconv('inspect', out, '--json');
  expect(inspected.code, inspected.stderr).toBe(0);
  const { plan } = JSON.parse(inspected.stdout) as { plan: { phases: { name: string; steps: number }[] } };
  expect(plan.phases.map(({ name }) => name).toSorted()).toEqual([
    'decoder',
    'decoder.step',
    'embed_tokens',
    'embed_tokens.step',
    'vision_encoder',
  ]);
  for (const { steps } of plan.phases) expect(steps).toBeGreaterThan(0);
  const people = await pgconv('inspect', out);
  for (const word of ['decoder.step', 'dispatches', 'matvec', 'weights/000.bin']) expect(people.stdout).toContain(word);
  const elsewhere = await pgconv('verify', out, '--device', 'cpu', '--against', fixture('shapes/hf'));
  expect(elsewhere.code).toBe(2);
  expect(elsewhere.stderr).toMatch(/wgsl has no device "cpu"[\s\S]*choose one of webgpu/);
  const ir = await pgconv('inspect', fixture('pg1-tiny/hf'), '--ir', 'decoder', '--dtype', 'int4', '--to', 'wgsl');
  expect(ir.stdout).toMatch(/\.zeros: f32\[/);
  // as `convert` would have it: packed, blocks of 64, and no more bits for some
  const packed = await pgconv('inspect', fixture('pg1-tiny/hf'), '--ir', 'decoder', '--dtype', 'int4', '--to', 'tfjs');
  expect(packed.stdout).toMatch(/%lm\.0\.v\.codes: u4\[32, 1, 64\]/);
});

test('a reader that goes away is no failure', async () => {
  const run = start(['inspect', fixture('shapes/hf'), '--ir', 'decoder']);
  run.child.stdout!.destroy();
  const { code, stderr } = await run.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('names in a hostile file do not reach the terminal as control characters', async () => {
  const dir = await tempFolder();
  const header = JSON.stringify({ '\u001b[2J\u202eevil': { dtype: 'F32', shape: [1], data_offsets: [0, 4] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  await mkdir(join(dir, 'c'));
  await writeFile(join(dir, 'c/model.safetensors'), Buffer.concat([length, Buffer.from(header), Buffer.alloc(4)]));
  await writeFile(join(dir, 'c/config.json'), '{"model_type": "paligemma"}');
  const { code, stderr } = await pgconv('inspect', join(dir, 'c'), '--tensors');
  expect(code).toBe(3);
  expect(stderr).not.toContain('\u001b');
  expect(stderr).not.toContain('\u202e');
  expect(stderr).toContain('\\u001b');
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s while verifying: exit %i within two seconds, and nothing is left', async (signal, expected) => {
  const dir = await tempFolder();
  const run = start([
    'convert',
    fixture('shapes/hf'),
    '--to',
    'onnx',
    '--dtype',
    'fp32',
    '--out',
    join(dir, 'out'),
    '--json',
  ]);
  await says(run, 'write out: ');
  const sent = performance.now();
  run.child.kill(signal);
  const { code, stdout } = await run.ended;
  expect(performance.now() - sent).toBeLessThan(2000);
  expect(code).toBe(expected);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'interrupted' } });
  expect(await readdir(dir)).toEqual([]);
});

/** Holds the thread of the command, in native code, a moment after it began. */
const BUSY = `import { isMainThread } from 'node:worker_threads'; import { pbkdf2Sync } from 'node:crypto';
if (!isMainThread) setTimeout(() => { console.error('busy'); pbkdf2Sync('a', 'b', 100_000_000, 64, 'sha512'); }, 1);`;
const busy = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(BUSY)}` };

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s while a thread is busy: the process ends by it within two seconds, and by a second one at once',
  async (signal) => {
    for (const twice of [false, true]) {
      const run = start(['verify', fixture('shapes/hf'), '--json'], undefined, busy);
      const ended = new Promise((resolve) => run.child.once('exit', (code, by) => resolve({ code, by })));
      await says(run, 'busy');
      const sent = performance.now();
      run.child.kill(signal);
      if (twice) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        run.child.kill(signal);
      }
      // a shell calls that 130 or 143
      expect(await ended).toEqual({ code: null, by: signal });
      expect(performance.now() - sent).toBeLessThan(twice ? 1000 : 2000);
      if (!twice) expect(JSON.parse((await run.ended).stdout)).toMatchObject({ error: { code: 'interrupted' } });
    }
  },
);

test.runIf(process.platform === 'linux')('a result that cannot be printed is no bug of ours', async () => {
  const full = openSync('/dev/full', 'w');
  const args = [join(build, 'converter/cli.js'), 'inspect', fixture('pg1-tiny/hf'), '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code).toBe(4);
  expect(said).toMatch(/^disk_full: .+\n {2}at file stdout\n/);
});
