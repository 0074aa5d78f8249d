import { afterEach, expect, test, vi } from 'vitest';
import { pgconv } from '../testing/command_line.ts';
import { printedOutput } from '../testing/printed_output.ts';

afterEach(() => void vi.unstubAllEnvs());

/** Every command, with names that are not there: nothing of them is looked at. */
const COMMANDS = [
  'convert none --to onnx --dtype fp32',
  'convert none --to onnx --dtype int4',
  'inspect none',
  'verify none',
  'record --script none/x.py',
  'run none --image none --prompt x',
  'quality none',
  'synth --variant paligemma-3b-224 --format hf --dtype f32 --out none/x',
];

test.each(COMMANDS)('PGCONV_THREADS that is no number is refused by %s', async (line) => {
  vi.stubEnv('PGCONV_THREADS', 'abc');
  const { code, out } = await pgconv(...line.split(' '), '--json');
  expect(printedOutput(out, 'error')).toMatchObject({
    error: { code: 'bad_option', message: 'PGCONV_THREADS is abc', hint: expect.stringContaining('1 to 256') },
  });
  expect(code).toBe(2);
});

test('a second path of verify is told the option that it may have been meant for', async () => {
  const { code, out } = await pgconv('verify', 'none', 'the checkpoint', '--json');
  expect(printedOutput(out, 'error')).toMatchObject({
    error: {
      code: 'excess_argument',
      file: 'the checkpoint',
      hint: expect.stringContaining("--against 'the checkpoint'"),
    },
  });
  expect(code).toBe(2);
});

test('help is given whatever it is', async () => {
  vi.stubEnv('PGCONV_THREADS', 'abc');
  expect((await pgconv('verify', '--help')).code).toBe(0);
});

test.each(['verify', 'inspect'])('an empty name of what %s is to read is refused', async (command) => {
  const { code, out } = await pgconv(command, '', '--json');
  expect(printedOutput(out, 'error')).toMatchObject({ error: { code: 'emptyName' } });
  expect(code).toBe(2);
});
