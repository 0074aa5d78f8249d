import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { errorAnnotation } from '../report/annotations.ts';
import { table } from '../terminal/table.ts';
import { json, printed, streamIo, textOf } from './io.ts';

test('results go to one stream and all else to the other, control characters escaped', () => {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const { signal } = new AbortController();
  const io = streamIo({ out, err, signal });
  io.out('a\u001b[31mb');
  io.err(['c\u0007d', 'e']);
  expect(io.signal).toBe(signal);
  io.reporter().warn('a weight is odd\n::error::x');
  const [results, rest] = [String(out.read()), String(err.read())];
  expect(results).toMatch(/^a.+b\n$/);
  expect(rest).toMatch(/^c.+d\ne\n[^]*a weight is odd\\n::error::x\n$/);
  // oxlint-disable-next-line no-control-regex -- finding control characters is the point
  expect(results + rest).not.toMatch(/[\u0007\u001b]/);
});

test('JSON has texts for what it has no numbers for, and objects for maps', () => {
  const value = { a: [1, NaN, -Infinity], m: new Map([['x', Infinity]]), none: null };
  expect(JSON.parse(json(value))).toEqual({ a: [1, 'NaN', '-Infinity'], m: { x: 'Infinity' }, none: null });
  expect(json({ a: 1 })).toBe('{\n  "a": 1\n}');
});

/** What GitHub's runner, Azure's or TeamCity's takes for a command (actions/runner, ActionCommand.cs). */
const isCommand = (line: string) => line.trimStart().startsWith('::') || /##(?:vso|teamcity)?\[/.test(line);

test('a name begins no line and is no command of a runner, in lines, tables and JSON', () => {
  const names = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '::error title=a::b',
      'x\n::error::y',
      ' ::debug::z',
      '##[error]q',
      '##vso[task.x]',
      'a\r\n##teamcity[b]',
    ),
  );
  fc.assert(
    fc.property(names, names, (first, second) => {
      const lines = textOf([first, `a ${second}`]).split('\n');
      expect(lines).toHaveLength(2);
      const cells = textOf(table(['a', 'b'], [[first, second]])).split('\n');
      expect(cells).toHaveLength(table(['a', 'b'], [['x', 'y']]).lines().length);
      const said = textOf(printed('synth', { [first]: second }));
      expect(JSON.parse(said)).toEqual({ schema: 'pgconv-synth', schemaVersion: 1, [first]: second });
      for (const line of [...lines, ...cells, ...said.split('\n')]) expect(isCommand(line), line).toBe(false);
    }),
  );
});

test('commands of a runner that are meant stay such', () => {
  const command = errorAnnotation({ code: 'exists', message: 'a name\n::error::b' });
  expect(textOf(command)).toBe(String.raw`::error title=pgconv%3A exists::a name\n::error::b`);
});
