import { dirname, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  anchors,
  commandsOf,
  documents,
  inlineCode,
  links,
  readTree,
  shownCommands,
  tableRows,
  treeFiles,
} from './markdown.ts';

/*
 * What documents say of the tree and can be looked up: links, files, scripts. Commands of pgconv itself are in
 * converter/cli/documents.test.ts.
 */

const files = treeFiles();
const known = new Set(files);
const all = documents();
const TOP = new Set(files.map((path) => path.split('/')[0]!));

/** A pattern of a document as one of paths: `*`, `**`, `{a,b}` as in a shell; `<op>`, and a file called x, is any. */
function patternOf(text: string): RegExp {
  const escaped = text.replace(/(?<=^|\/)x\./, '*.').replaceAll(/[.+()^$|]/g, String.raw`\$&`);
  const pattern = escaped
    .replaceAll(/\{([^{}]*)\}/g, (_, list: string) => `(?:${list.replaceAll(',', '|')})`)
    .replaceAll('**', '\0')
    .replaceAll(/\*|<[^<>]*>/g, '[^/]*')
    .replaceAll('\0', '.*');
  return new RegExp(`(?:^|/)${pattern}${text.endsWith('/') ? '' : '(?:/|$)'}`);
}

/** Endings of sources: a word that ends so is a file of this tree. */
const SOURCE = /\.(?:ts|js|mjs|py|ir|sh|fbs|md|jsonc)$/;

/** Whether inline code is the name of a file or folder of the tree. */
function namesFile(code: string): boolean {
  if (/[\s:'"()=…]/.test(code) || /^(?:\/|https?|~|\.(?!ci\/))/.test(code)) return false;
  return code.includes('/') ? TOP.has(code.split('/')[0]!) || SOURCE.test(code) : SOURCE.test(code);
}

/** Made by the build, or in a bundle, or another's: no files of the tree. */
const ELSEWHERE = new Set(['dist/ir/quantize/kernels.wasm', 'hf/', 'README.md', 'gemma.py']);

/** Files that inline code names and that are not there. Names may leave out the folder that is spoken of. */
function missingFiles(text: string): readonly string[] {
  return inlineCode(text)
    .filter((code) => namesFile(code) && !ELSEWHERE.has(code))
    .filter((code) => {
      const pattern = patternOf(code);
      const rooted = TOP.has(code.split('/')[0]!) && code.includes('/');
      return !files.some((path) => (rooted ? pattern.exec(path)?.index === 0 : pattern.test(path)));
    });
}

/** Links that lead nowhere. */
function deadLinks(path: string, text: string): readonly string[] {
  return links(text).filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [file, anchor] = target.split('#') as [string, string?];
    const to = file === '' ? path : posix.normalize(posix.join(dirname(path), file));
    if (!known.has(to) && !files.some((other) => other.startsWith(`${to.replace(/\/$/, '')}/`))) return true;
    return anchor !== undefined && !anchors(to === path ? text : readTree(to)).includes(anchor);
  });
}

const { scripts } = JSON.parse(readTree('package.json')) as { readonly scripts: Readonly<Record<string, string>> };

/** Options of a benchmark stand in the file that its script runs. */
function scriptTakes(script: string, option: string): boolean {
  const source = /node dist\/(\S+)\.js/.exec(scripts[script]!)?.[1];
  return (
    source === undefined ||
    readTree(`${source}.ts`).includes(`${option} `) ||
    readTree(`${source}.ts`).includes(`'${option}'`)
  );
}

/** What is wrong with commands of npm, npx vitest and node. */
function wrongCommands(text: string): readonly string[] {
  return shownCommands(text).flatMap(({ words }) => {
    const said = words.join(' ');
    const [program, what, name, ...rest] = words;
    if (program === 'npm' && what === 'run' && name !== undefined) {
      if (!Object.hasOwn(scripts, name)) return [`${said}: no such script`];
      const options = rest.filter((word) => /^--\w/.test(word));
      return options.filter((option) => !scriptTakes(name, option)).map((option) => `${said}: ${option}`);
    }
    if (program === 'npx' && what === 'vitest')
      return rest
        .filter(
          (word) => !word.startsWith('-') && !files.some((file) => file.endsWith('.test.ts') && file.includes(word)),
        )
        .map((word) => `${said}: no test in ${word}`);
    return [];
  });
}

describe.each(all.map((document) => [document.path, document.text] as const))('%s', (path, text) => {
  it('has links that lead somewhere', () => {
    expect(deadLinks(path, text)).toEqual([]);
  });
  it('names files that are there', () => {
    expect(missingFiles(text)).toEqual([]);
  });
  it('shows scripts and tests that are there', () => {
    expect(wrongCommands(text)).toEqual([]);
  });
});

it('finds what is wrong', () => {
  const text = [
    '# A heading, with `code`',
    '[there](../README.md) [not](no.md) [here](#a-heading-with-code) [nowhere](#none) [out](https://example.org/x.md)',
    '`ir/dim.ts` `ir/dim2.ts` `ops/gather.ts` `ops/gatherer.ts` `ir/ops/<op>.ts` `ir/{dim,type}.ts` `ir/passes/` `ir/no/`',
    '`npm run bench -- --only attention` `npm run bench -- --lonely` `npm run bank` `npx vitest run ir/dim.test.ts`',
    '`npx vitest run ir/dam.test.ts`',
  ].join('\n');
  expect(deadLinks('docs/wgsl.md', text)).toEqual(['no.md', '#none']);
  expect(missingFiles(text)).toEqual(['ir/dim2.ts', 'ops/gatherer.ts', 'ir/no/']);
  expect(wrongCommands(text)).toEqual([
    'npm run bench -- --lonely: --lonely',
    'npm run bank: no such script',
    'npx vitest run ir/dam.test.ts: no test in ir/dam.test.ts',
  ]);
  expect(commandsOf(`A=1 npx pgconv quality x --dtypes 'a,b' && npm test # now`)).toEqual([
    ['npx', 'pgconv', 'quality', 'x', '--dtypes', 'a,b'],
    ['npm', 'test'],
  ]);
});

describe('docs/README.md', () => {
  it('leads to every document', () => {
    const map = links(readTree('docs/README.md')).map((target) => posix.normalize(posix.join('docs', target)));
    const documentsOfTree = all.map(({ path }) => path).filter((path) => path !== 'docs/README.md');
    expect(documentsOfTree.filter((path) => !map.includes(path))).toEqual([]);
  });
});

/** Of a report of `pgconv quality`, by dtype: mean KL divergence, same most likely token, answers of the original. */
function reported(path: string): ReadonlyMap<string, readonly [number, number, number]> {
  const [heads, ...rows] = tableRows(readTree(path)).filter((cells) => cells.length > 10);
  const at = (title: string) => heads!.indexOf(title);
  return new Map(
    rows.map((cells) => [
      cells[0]!,
      [
        Number(cells[at('mean KLD')]!.split(' ')[0]),
        Number.parseFloat(cells[at('same top-1')]!),
        2 * Number.parseFloat(cells[at('same answer')]!),
      ],
    ]),
  );
}

describe('figures of README.md', () => {
  const rows = tableRows(readTree('README.md')).filter(([what]) =>
    /teacher-forced|^the same (?:through|in)/.test(what!),
  );
  it.each(rows.map((cells) => [cells[0]!, cells[1]!, links(cells[2]!)] as const))(
    '%s: are those of the reports that it names',
    (_, figures, reports) => {
      expect(reports.length).toBeGreaterThan(0);
      for (const report of reports) {
        const rowsOfReport = reported(report);
        for (const part of figures.split('; ')) {
          const [, dtype, kld, top1, answers] = /^(\w+(?: packed)?) (\S+), (\S+) %, (\d+)$/.exec(part)!;
          const [statedKld, statedTop1, statedAnswers] = rowsOfReport.get(
            dtype === 'int8 packed' ? 'shapes-int8-packed' : dtype!,
          )!;
          expect(Number(statedKld.toPrecision(2)), part).toBe(Number(kld));
          expect(Math.abs(statedTop1 - Number(top1)), part).toBeLessThan(0.051);
          expect(statedAnswers, part).toBe(Number(answers));
        }
      }
    },
  );
  it('are found', () => expect(rows.length).toBeGreaterThanOrEqual(3));
});

it('comments name documents and tests that are there', () => {
  const wrong = files
    .filter((path) => /(?<!_pb)\.(?:ts|js)$/.test(path) && path !== 'verify/environment/documents.test.ts')
    .flatMap((path) => {
      const text = readTree(path).replaceAll(/\n\s*(?:\*|\/\/) /g, ' ');
      const named = [...text.matchAll(/\bdocs\/[\w-]+\.md\b|(?<=npx vitest run )[\w./]+\.test\.ts/g)];
      return named.filter(([name]) => !known.has(name)).map(([name]) => `${path}: ${name}`);
    });
  expect(wrong).toEqual([]);
});

it('nothing in the tree refers to papers that are not in it', () => {
  const referring = files
    .filter((path) => /\.(?:ts|js|md|py)$/.test(path) && path !== 'verify/environment/documents.test.ts')
    .filter((path) => /(?:^|[^\w/])(?:\.\.\/shared\/|design\/\w+\.md)/.test(readTree(path)));
  expect(referring).toEqual([]);
});
