import { expect, test } from 'vitest';
import { pgconv } from '../testing/command_line.ts';

test.each([
  [['convert', 'x', '--dtpye', 'fp16'], "unknown option '--dtpye'"],
  [['run', 'x', '--promt', 'caption en'], "unknown option '--promt'"],
  [['synth', '--varaint', 'x'], "unknown option '--varaint'"],
  [['convert', 'x', '--dtype', 'fp16'], "required option '--to <backend>' not specified"],
  [['convert', 'x', '--to', 'onnx', '--dtpye=fp16'], "unknown option '--dtpye=fp16'"],
])('%o names what was mistyped before what is missing', async (args, message) => {
  const { code, err } = await pgconv(...args);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
