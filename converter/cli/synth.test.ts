import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { textOf } from './io.ts';
import { runCommandLine } from './main.ts';
import { synthCommand } from './synth.ts';

const IO = {
  out: () => {},
  err: () => {},
  reporter: () => silentReporter,
  signal: new AbortController().signal,
};

async function pgconv(...args: readonly string[]): Promise<{ readonly code: number; readonly err: string }> {
  const err: string[] = [];
  const code = await runCommandLine(args, { ...IO, err: (text) => err.push(textOf(text)) });
  return { code, err: err.join('\n') };
}

const USUAL = ['--variant', 'paligemma-3b-224', '--format', 'hf', '--dtype', 'bf16'];

test.each([
  ['--seed', '-1', 0],
  ['--seed', '1.5', 0],
  ['--layers', '0', 1],
  ['--layers', 'x', 1],
  ['--vision-layers', '0', 1],
])('%s %s is refused, and nothing is made', async (option, value, least) => {
  const out = join(tempFolder(), 'made');
  const { code, err } = await pgconv('synth', ...USUAL, '--out', out, `${option}=${value}`);
  expect(code).not.toBe(0);
  expect(err).toContain(`give a whole number of at least ${least}.`);
  expect(existsSync(out)).toBe(false);
});

test.each([['--variant'], ['--format'], ['--dtype'], ['--out']])('%s must be given', async (option) => {
  const all = [...USUAL, '--out', join(tempFolder(), 'made')];
  const at = all.indexOf(option);
  const { code, err } = await pgconv('synth', ...all.toSpliced(at, 2));
  expect(code).not.toBe(0);
  expect(err).toContain(option);
});

test('without a seed it is 0, and everything is kept', () => {
  const { options } = synthCommand(IO);
  const usual = (name: string) => options.find(({ long }) => long === name)!.defaultValue as unknown;
  expect([usual('--seed'), usual('--layers'), usual('--vision-layers')]).toEqual([0, undefined, undefined]);
});

test('a seed of 0 is one, and a folder that is there is left alone', async () => {
  const { code, err } = await pgconv('synth', ...USUAL, '--seed', '0', '--layers', '1', '--out', tempFolder());
  expect(code).not.toBe(0);
  expect(err).toContain('exists');
});
