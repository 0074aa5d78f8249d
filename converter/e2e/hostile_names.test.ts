import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rawSafetensors } from '../checkpoints/testing/raw_safetensors.ts';
import { streamIo } from '../cli/io.ts';
import { runCommandLine } from '../cli/main.ts';
import { tempFolders } from '../testing/bundle.ts';

/*
 * Files and folders whose names move the cursor, turn lines around, begin lines and give commands to a CI's runner, in
 * every command and form, in a job of GitHub Actions.
 */

const HOSTILE = 'x\n::error title=forged::boo \u001b[31m\u009b0m\u202e\u2028##[error]forged';
const folder = tempFolders();

let before: string | undefined;
beforeAll(() => {
  before = process.env['GITHUB_ACTIONS'];
  process.env['GITHUB_ACTIONS'] = 'true';
});
afterAll(() => {
  if (before === undefined) delete process.env['GITHUB_ACTIONS'];
  else process.env['GITHUB_ACTIONS'] = before;
});

/** Runs a command as a process would, and looks at every line that it writes. */
async function lines(
  ...args: readonly string[]
): Promise<{ readonly exitCode: number; readonly out: readonly string[] }> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const exitCode = await runCommandLine(args, streamIo({ out, err, signal: new AbortController().signal }));
  const written = [out, err].map((stream) => String((stream.read() as Buffer | null) ?? '').split('\n'));
  for (const line of written.flat()) {
    expect(line).not.toMatch(/(?![\n])[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
    // a command of a runner that is not of ours
    if (!line.startsWith('::error title=pgconv%3A ') && !line.startsWith('::notice title=pgconv%3A '))
      expect(line.trimStart()).not.toMatch(/^::|##(?:vso|teamcity)?\[/);
    expect(line).not.toMatch(/^::error title=forged/);
  }
  return { exitCode, out: written[0]! };
}

/** Text that a page or a file shows has no line of its own either. */
async function expectHarmless(file: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  expect(text).not.toMatch(/(?![\n])[\p{Cc}\u202e\u2028]/u);
  expect(text.split('\n').filter((line) => line.trimStart().startsWith('::'))).toEqual([]);
}

describe('no name begins a line, hides in one or is a command', () => {
  test('of a checkpoint, its files, its tensors and its configs, in inspect', async () => {
    const root = join(await folder(), HOSTILE);
    const dir = join(root, `${HOSTILE}-model`);
    await cp('fixtures/pg1-tiny/hf', dir, { recursive: true });
    await writeFile(join(dir, `${HOSTILE}.log`), 'a log');
    for (const form of [[], ['--tensors'], ['--json'], ['--ir', 'decoder'], ['--ir', HOSTILE]])
      await lines('inspect', dir, ...form);
    expect((await lines('inspect', dir)).exitCode).toBe(0);

    const other = join(root, `${HOSTILE}.safetensors`);
    await writeFile(other, rawSafetensors({ [HOSTILE]: ['F32', [1]] }, { [HOSTILE]: HOSTILE }));
    for (const form of [[], ['--json']]) expect((await lines('inspect', other, ...form)).exitCode).toBe(3);

    const config = join(dir, 'config.json');
    await writeFile(
      config,
      JSON.stringify({
        ...JSON.parse(await readFile(config, 'utf8')),
        model_type: HOSTILE,
        auto_map: { [`AutoModel${HOSTILE}`]: HOSTILE },
      }),
    );
    expect((await lines('inspect', dir)).exitCode).toBe(3);
  });

  test('of options, commands and what does not exist', async () => {
    for (const args of [
      [HOSTILE],
      ['inspect', HOSTILE],
      ['inspect', `--${HOSTILE}`],
      ['convert', HOSTILE, '--to', HOSTILE, '--dtype', 'fp16'],
      ['convert', 'fixtures/pg1-tiny/hf', '--to', HOSTILE, '--dtype', 'fp16', '--out', join(await folder(), HOSTILE)],
      ['convert', 'fixtures/pg1-tiny/hf', '--to', 'onnx', '--dtype', HOSTILE],
      [
        'convert',
        'fixtures/pg1-tiny/hf',
        '--to',
        'onnx',
        '--dtype',
        'fp16',
        '--leave-out',
        HOSTILE,
        '--out',
        join(await folder(), 'o'),
      ],
      ['verify', HOSTILE, '--json'],
      ['run', HOSTILE, '--image', HOSTILE, '--prompt', HOSTILE],
      ['quality', HOSTILE],
      ['clean', HOSTILE],
      ['record', '--script', join(await folder(), HOSTILE, HOSTILE)],
      ['synth', '--variant', HOSTILE, '--format', 'hf', '--dtype', 'bf16', '--out', HOSTILE],
    ])
      expect((await lines(...args)).exitCode).not.toBe(70);
    const script = join(await folder(), `${HOSTILE}.py`);
    expect((await lines('record', '--script', script)).exitCode).toBe(0);
    expect((await lines('record', '--script', script)).exitCode).toBe(4);
  });

  test('of a bundle, converted, verified, reported, run and inspected', async () => {
    const root = join(await folder(), HOSTILE);
    await mkdir(root);
    const [checkpoint, out] = [join(root, 'model'), join(root, `${HOSTILE}-bundle`)];
    await cp('fixtures/shapes/hf', checkpoint, { recursive: true });
    const made = await lines('convert', checkpoint, '--to', 'onnx', '--dtype', 'fp16', '--no-verify', '--out', out);
    expect(made.exitCode).toBe(0);
    await expectHarmless(join(out, 'README.md'));
    const reports = ['html', 'markdown', 'junit'].map((form) => [`--${form}`, join(root, `${HOSTILE}.${form}`)]);
    expect((await lines('verify', out, ...reports.flat())).exitCode).toBe(0);
    for (const [, file] of reports) await expectHarmless(file!);
    for (const form of [[], ['--tensors'], ['--json']]) expect((await lines('inspect', out, ...form)).exitCode).toBe(0);
    await cp('fixtures/shapes/images/000.png', join(root, `${HOSTILE}.png`));
    const asked = ['--image', join(root, `${HOSTILE}.png`), '--prompt', 'caption en'];
    for (const form of [[], ['--json']]) expect((await lines('run', out, ...asked, ...form)).exitCode).toBe(0);
    await lines('clean', root);
    expect((await lines('convert', checkpoint, '--to', 'onnx', '--dtype', 'fp16', '--out', out)).exitCode).toBe(4);

    // of an initializer, in a graph that is described
    const graph = join(out, 'onnx/decoder_model_merged_fp16.onnx');
    const text = (await readFile(graph)).toString('latin1');
    const [name] = /lm\.0\.[\w.+]*\.transposed/.exec(text)!;
    const forged = '\n::x::\u001b[1m'.padEnd(name.length, '#').slice(0, name.length);
    await writeFile(join(out, 'onnx/m.onnx'), Buffer.from(text.replaceAll(name, forged), 'latin1'));
    const { exitCode, out: shown } = await lines('inspect', join(out, 'onnx/m.onnx'), '--tensors');
    expect([exitCode, shown.some((line) => line.includes(String.raw`\n::x::\u001b[1m`))]).toEqual([0, true]);
  });
});
