import { describe, expect, it } from 'vitest';
import { isKnown } from './equivalents.ts';
import { mutantsOf } from './mutants.ts';
import { ImportGraph } from './nearby_tests.ts';
import { sample } from './sample.ts';

const changed = (source: string, line = 1): readonly string[] =>
  mutantsOf('x.ts', source, line).map(({ start, end, text }) => source.slice(0, start) + text + source.slice(end));

describe('slips', () => {
  it.each([
    ['x = a < b;', ['x = a <= b;', 'x = a > b;']],
    ['x = !a;', ['x = a;']],
    ['x = await a;', ['x = a;']],
    ['x = f(a, b);', ['x = f(b, a);']],
    ['x = Math.min(...a);', ['x = Math.max(...a);']],
    ['x = a ? b : c;', ['x = a ? c : b;']],
    ['if (a) b;', ['if (true) b;', 'if (false) b;']],
    ['f(a);', [';']],
    ['x = 2;', ['x = 3;', 'x = 1;']],
    ["throw new BadInputError('a', `b${1 + 1}`);", []],
    ["import { a } from './b.ts';", []],
    ['type T = 1 | 2;', []],
    ['const a: 1 = b as 1;', []],
  ])('of %s', (source, expected) => expect(changed(source)).toEqual(expected));

  it('are those that begin on the line', () => {
    expect(changed('x = 1 +\n2;', 2)).toEqual(['x = 1 +\n3;', 'x = 1 +\n1;']);
  });
});

describe('a sample', () => {
  const sources = ['a/x.ts', 'a/y.ts', 'b/z.ts'].map((path) => ({ path, text: 'x = a + b;\n\n// c\ny = a * 2;\n' }));

  it('is the same for the same seed, another for another, and each line once', () => {
    const lines = (seed: number) => sample(sources, 5, seed).map(({ path, line }) => `${path}:${line}`);
    expect(lines(1)).toEqual(lines(1));
    expect(lines(1)).not.toEqual(lines(2));
    expect(new Set(lines(1)).size).toBe(5);
    expect(lines(1).every((line) => /:[14]$/.test(line))).toBe(true);
  });

  it('ends when there are fewer lines than asked for', () => expect(sample(sources, 50, 1)).toHaveLength(6));
});

it('of tests that are as near, a file’s own comes first, then those beside it', () => {
  const graph = new ImportGraph(
    ['a/b.test.ts', 'a/x.gpu.test.ts', 'b/y.test.ts', 'a/x.test.ts', 'a/z.test.ts'].map((path) => ({
      path,
      text: `import { x } from '${path.startsWith('a/') ? '.' : '../a'}/x.ts';`,
    })),
  );
  const tests = ['a/x.gpu.test.ts', 'a/x.test.ts', 'a/b.test.ts', 'a/z.test.ts', 'b/y.test.ts'];
  expect(graph.testsOf('a/x.ts')).toEqual(tests);
});

it('tests that start the command line reach it', () => {
  const graph = new ImportGraph([
    { path: 'converter/e2e/cli.test.ts', text: 'const dir = testBuild();' },
    { path: 'converter/cli.ts', text: "import { main } from './cli/main.ts';" },
  ]);
  expect(graph.testsOf('converter/cli/main.ts')).toEqual(['converter/e2e/cli.test.ts']);
});

it('tests are those that reach a file, the nearest first', () => {
  const graph = new ImportGraph([
    { path: 'a/x.ts', text: '' },
    { path: 'a/x.test.ts', text: "import { x } from './x.ts';" },
    { path: 'b/y.ts', text: "import { x } from '../a/x.ts';" },
    { path: 'b/y.test.ts', text: "const y = await import('./y.ts');" },
    { path: 'c/z.test.ts', text: "import './other.ts';" },
  ]);
  expect(graph.testsOf('a/x.ts')).toEqual(['a/x.test.ts', 'b/y.test.ts']);
});

it('a slip that means nothing is known by its line’s text, wherever that stands', () => {
  const known = [{ path: 'a.ts', code: 'x = 1;', what: '1 → 2', why: 'a size hint' }];
  expect(isKnown(known, { path: 'a.ts', line: 2, what: '1 → 2' }, '\n  x = 1;\n')).toBe(known[0]);
  expect(isKnown(known, { path: 'a.ts', line: 1, what: '1 → 2' }, '\n  x = 1;\n')).toBeUndefined();
});
