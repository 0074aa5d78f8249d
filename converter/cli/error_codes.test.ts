import { describe, expect, it } from 'vitest';
import { readTree, section, tableRows, treeFiles } from '../../verify/environment/markdown.ts';
import { EXIT } from '../errors.ts';

/* docs/error-codes.md is held to the codes that stand in the source. */

const page = readTree('docs/error-codes.md');

/** Rows of a section: cells behind the code, by code. */
function rowsOf(heading: string): ReadonlyMap<string, readonly string[]> {
  const rows = tableRows(section(page, heading)).flatMap(([code, ...cells]) => {
    const name = /^`([\w-]+)`$/.exec(code!)?.[1];
    return name === undefined ? [] : [[name, cells] as const];
  });
  expect(new Set(rows.map(([name]) => name)).size, `${heading}: a code stands once`).toBe(rows.length);
  return new Map(rows);
}

/** Members of a union of strings in a source. */
function union(path: string, name: string): readonly string[] {
  const text = new RegExp(`${name}\\s*(?::|=)([^;]*?(?:'[^']*'[^;]*?)+);`).exec(withoutComments(readTree(path)))![1]!;
  return [...text.matchAll(/'([\w-]+)'/g)].map(([, code]) => code!);
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*/gm, '');
}

const KINDS: Readonly<Record<string, number>> = {
  BadInputError: EXIT.badInput,
  UsageError: EXIT.usage,
  OutputError: EXIT.cannotWrite,
  ParityError: EXIT.parityFailed,
};
/** What takes a code as an argument of its own, for an error of bad input. */
const HELPERS = /\b(?:fail|failNpy|refuse|damaged|openJson)\(((?:[^;']|'(?:[^'\\\n]|\\.)*')*)/g;

/** Codes of converter's errors, with the exit codes that the place of each tells; none where it does not. */
function codesInSource(): ReadonlyMap<string, ReadonlySet<number>> {
  const found = new Map<string, Set<number>>();
  const add = (code: string, exit?: number) => {
    const exits = found.get(code) ?? new Set();
    if (exit !== undefined) exits.add(exit);
    found.set(code, exits);
  };
  const sources = treeFiles().filter(
    (path) => /^converter\/(?!e2e|bench|(?:.*\/)?testing\/).*\.ts$/.test(path) && !path.endsWith('.test.ts'),
  );
  // those of pictures, which the runtimes decode as well
  for (const code of union('backends/client/images/decode_picture.ts', 'PictureFault')) add(code, EXIT.badInput);
  for (const path of sources) {
    const text = withoutComments(readTree(path));
    if (
      !/\b(?:BadInputError|UsageError|OutputError|ParityError|PgconvError|Recognition|openJson|JsonReader)\b/.test(text)
    )
      continue;
    for (const [, kind, code] of text.matchAll(/new (\w+Error)\(\s*'(\w+)'/g)) add(code!, KINDS[kind!]);
    for (const [, code, other] of text.matchAll(/new BadInputError\(\s*\w+ \? '(\w+)' : '(\w+)'/g))
      for (const either of [code!, other!]) add(either, EXIT.badInput);
    for (const [, code] of text.matchAll(/\bcode(?:: | = )'(\w+)'|super\(\s*'(\w+)'/g)) if (code) add(code);
    for (const [, code] of text.matchAll(/super\(\s*'(\w+)'/g)) add(code!);
    for (const [, args] of text.matchAll(HELPERS))
      for (const [, code] of args!.matchAll(/(?<=^\s*|,\s*)'([a-z]+(?:_[a-z]+)+)'(?=\s*(?:,|\)|$))/g)) add(code!);
  }
  return found;
}

describe('docs/error-codes.md', () => {
  it('has every code of the commands, and no other', () => {
    const inSource = codesInSource();
    const rows = rowsOf('Commands');
    expect(inSource.size).toBeGreaterThan(100);
    expect([...inSource.keys()].filter((code) => !rows.has(code))).toEqual([]);
    expect([...rows.keys()].filter((code) => !inSource.has(code))).toEqual([]);
  });

  it('has the exit codes of each', () => {
    const wrong = [...codesInSource()].filter(([code, exits]) => {
      const stated = rowsOf('Commands').get(code)![0]!.split(', ').map(Number);
      return [...exits].some((exit) => !stated.includes(exit));
    });
    expect(wrong).toEqual([]);
    const known = new Set<number>(Object.values(EXIT));
    expect(
      [...rowsOf('Commands').values()]
        .flatMap(([exits]) => exits!.split(', '))
        .every((exit) => known.has(Number(exit))),
    ).toBe(true);
  });

  it.each([
    ['Verification', 'verify/error.ts', 'VerifyErrorCode'],
    ['Quantizing', 'ir/quantize/error.ts', 'QuantizeErrorCode'],
    ['Backends', 'backends/error.ts', 'BackendErrorCode'],
  ])('%s: has the codes of %s', (heading, path, type) => {
    expect([...rowsOf(heading).keys()].toSorted()).toEqual([...union(path, `type ${type}`)].toSorted());
  });

  it('Runtimes: has the codes of RuntimeError, and of plans', () => {
    const [runtime, plans] = section(page, 'Runtimes').split('Plans that cannot be read') as [string, string];
    const codes = (text: string) => tableRows(text).flatMap(([code]) => /^`(\w+)`$/.exec(code!)?.[1] ?? []);
    expect(codes(runtime)).toEqual([...union('backends/client/errors.ts', 'type RuntimeErrorCode')]);
    expect(codes(plans)).toEqual([...union('backends/wgsl/bundle/manifest_error.ts', 'type ManifestErrorCode')]);
    expect(codes(plans)).toEqual([...union('backends/tfjs/plan.ts', 'readonly code')]);
  });

  it('has a way out for each', () => {
    const empty = tableRows(page).filter((cells) => cells.some((cell) => cell === ''));
    expect(empty).toEqual([]);
  });
});
