import { expect, test } from 'vitest';
import { silentReporter } from '../terminal/reporter.ts';
import { textOf } from './io.ts';
import { runCommandLine } from './main.ts';

async function inspect(...args: readonly string[]): Promise<string> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCommandLine(['inspect', ...args], {
    out: (text) => out.push(textOf(text)),
    err: (text) => err.push(textOf(text)),
    reporter: () => silentReporter,
    signal: new AbortController().signal,
  });
  expect([code, err]).toEqual([0, []]);
  return out.join('\n');
}

const SHAPES = 'fixtures/shapes/hf';

test('a checkpoint: sizes with what they are known from; tensors when they are asked for', async () => {
  const text = await inspect(SHAPES);
  expect(text).toMatch(/│ size +│ value +│ known from/);
  expect(text).not.toContain('norm of the change');
  expect(text).not.toMatch(/│ tensor +│ dtype/);
  expect(await inspect(SHAPES, '--tensors')).toMatch(/│ tensor +│ dtype +│ shape +│ +bytes/);
});

test('adapters: what they did to each module', async () => {
  const text = await inspect(SHAPES, '--adapter', 'fixtures/shapes/lora-shapes');
  expect(text).toMatch(/│ adapter +│ module +│ change +│ rank +│ norm of the change/);
});
