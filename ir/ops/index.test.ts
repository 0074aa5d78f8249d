import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Op } from '../op.ts';
import { isOpName, ops } from './index.ts';

const ROOT = new URL('../../', import.meta.url);

describe.each(Object.entries(ops) as readonly (readonly [string, Op])[])('%s', (name, op) => {
  test('goes by its own name and says what it does', () => {
    expect(op.name).toBe(name);
    expect(op.doc).toMatch(/\.$/);
  });

  test('optional and repeated operands come last', () => {
    expect(op.operands.slice(0, -1).every((operand) => /^\w+$/.test(operand))).toBe(true);
  });

  test('lies in a file of its name', () => {
    expect(readFileSync(new URL(`ir/ops/${name}.ts`, ROOT), 'utf8')).toContain(`name: '${name}'`);
  });
});

test('names of Object are no ops', () => {
  expect(['constructor', 'toString', '__proto__', 'gelu'].filter(isOpName)).toEqual([]);
});
