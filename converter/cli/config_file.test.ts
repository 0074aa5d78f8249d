import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONFIG_NAME, takeConfig } from './config_file.ts';
import { commandLine } from './main.ts';

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'pgconv-config-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a command would be given, and what was told. */
async function given(config: unknown, ...args: readonly string[]) {
  await writeFile(join(folder, CONFIG_NAME), typeof config === 'string' ? config : JSON.stringify(config));
  const io = { out() {}, err() {}, reporter: () => undefined as never, signal: new AbortController().signal };
  const program = commandLine(io, { exitCode: 0 });
  const told: string[] = [];
  await takeConfig(program, folder, (line) => told.push(line));
  const command = program.commands.find((one) => one.name() === args[0])!;
  let options: Record<string, unknown> = {};
  command.action(() => {
    options = command.opts();
  });
  await program.parseAsync([...args], { from: 'user' });
  return { options, told };
}

const CONVERT = {
  to: 'onnx',
  dtype: 'int4',
  calibrate: 'photos',
  'no-verify': true,
  adapter: ['a', 'b'],
  memory: '4GiB',
};

test('options are taken as if they had been given, and a note names them', async () => {
  const { options, told } = await given({ convert: CONVERT, run: { temperature: 0.5 } }, 'convert', 'x');
  expect(options).toMatchObject({ to: 'onnx', dtype: 'int4', calibrate: 'photos', verify: false, adapter: ['a', 'b'] });
  expect(options['memory']).toBe(4 * 2 ** 30);
  expect(told).toEqual([expect.stringMatching(/pgconv\.config\.json says --to, --dtype, --calibrate, --no-verify/)]);
});

test('those that are given come first', async () => {
  const { options, told } = await given({ convert: { to: 'onnx', dtype: 'int4' } }, 'convert', 'x', '--dtype', 'fp16');
  expect(options).toMatchObject({ to: 'onnx', dtype: 'fp16' });
  expect(told[0]).toMatch(/says --to$/);
});

test('where there is no file nothing is taken', async () => {
  const program = commandLine(
    { out() {}, err() {}, reporter: () => undefined as never, signal: new AbortController().signal },
    { exitCode: 0 },
  );
  await expect(takeConfig(program, join(folder, 'none'), () => {})).resolves.toBeUndefined();
});

describe('what no command takes is refused with the file', () => {
  test.each([
    ['{', 'no list of options'],
    [[], 'no list of options'],
    [{ convert: 'onnx' }, 'no list of options'],
    [{ convrt: {} }, 'there is no command "convrt"'],
    [{ convert: { dtpye: 'fp16' } }, 'convert has no option --dtpye'],
    [{ convert: { dtype: 'fp17' } }, 'convert --dtype'],
    [{ convert: { dtype: true } }, 'it takes a value'],
    [{ convert: { 'no-verify': 'yes' } }, 'it is a switch'],
    [{ run: { 'max-new-tokens': -1 } }, 'run --max-new-tokens'],
  ] as const)('%j', async (config, message) => {
    await expect(given(config, 'clean')).rejects.toThrow(
      expect.objectContaining({
        code: 'bad_options_file',
        message: expect.stringContaining(message),
        place: expect.objectContaining({ file: join(folder, CONFIG_NAME) }),
      }),
    );
  });
});
