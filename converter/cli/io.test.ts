import { afterEach, expect, test, vi } from 'vitest';
import { json, processIo } from './io.ts';

afterEach(() => vi.restoreAllMocks());

test('results go to stdout and all else to stderr, control characters escaped', () => {
  const [out, err]: [string[], string[]] = [[], []];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => err.push(String(text)) > 0);
  const { signal } = new AbortController();
  const io = processIo(signal);
  io.out('a\u001b[31mb');
  io.err('c\u0007d');
  expect(io.signal).toBe(signal);
  io.reporter().warn('a weight is odd');
  vi.restoreAllMocks();
  expect(out).toHaveLength(1);
  expect(out[0]).toMatch(/^a.+b\n$/);
  expect(err[0]).toMatch(/^c.+d\n$/);
  expect(err.slice(1).join('')).toContain('a weight is odd');
  // oxlint-disable-next-line no-control-regex -- finding control characters is the point
  expect([...out, ...err].join('')).not.toMatch(/[\u0007\u001b]/);
});

test('a closed pipe ends quietly, any other error of a stream does not', () => {
  const before = process.stdout.listeners('error').length;
  processIo(new AbortController().signal);
  const [ended, ...others] = process.stdout.listeners('error').slice(before) as ((error: Error) => void)[];
  expect(others).toEqual([]);
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  ended!(Object.assign(new Error('EPIPE'), { code: 'EPIPE' }));
  expect(exit).toHaveBeenCalledExactlyOnceWith(process.exitCode ?? 0);
  expect(() => ended!(Object.assign(new Error('EIO'), { code: 'EIO' }))).toThrow('EIO');
  process.stdout.off('error', ended!);
});

test('JSON has texts for what it has no numbers for, and objects for maps', () => {
  const value = { a: [1, NaN, -Infinity], m: new Map([['x', Infinity]]), none: null };
  expect(JSON.parse(json(value))).toEqual({ a: [1, 'NaN', '-Infinity'], m: { x: 'Infinity' }, none: null });
  expect(json({ a: 1 })).toBe('{\n  "a": 1\n}');
});
