import { marked, type Tokens } from 'marked';
import { parse, parseFragment, type DefaultTreeAdapterTypes } from 'parse5';
import { describe, expect, it } from 'vitest';
import { visible } from '../../ir/text/visible.ts';
import type { QualityReport } from './report.ts';
import { reportHtml } from './report_html.ts';
import { reportMarkdown } from './report_markdown.ts';

/** What stands in a samples file and in names of folders: HTML, Markdown, cells, controls. */
const HOSTILE = [
  '<script>alert(1)</script> " onmouseover="alert(1)',
  '</td></table><h1>x',
  '![a](http://evil/x.png)\n\n# heading\n<iframe src=//evil>',
  'detect <loc0001> \u001b[31m `x` | y \u202e @someone #1 **bold** [l](javascript:alert(1))',
];

type Variant = QualityReport['variants'][number];

const report = {
  tool: { name: 'pgconv', version: '0' },
  checkpoint: [HOSTILE[2]!],
  model: 'x',
  parameters: 1,
  cases: { source: HOSTILE[0]!, count: 4, withTruth: 4, positions: 1 },
  reference: { kind: 'evaluator', description: 'x', why: 'small', tasks: { sameText: 1 } },
  variants: [
    {
      label: `int8 ${HOSTILE[1]!}`,
      runtime: HOSTILE[1]!,
      bytes: 1,
      weightBytes: 1,
      bitsPerWeight: 8,
      meanKld: 1,
      kld99: 1,
      maxKld: 1,
      sameTop1: 1,
      greedy: { same: 0, tie: 0, different: 4 },
      tasks: { sameText: 0 },
      tokensPerSecond: 1,
      stages: [],
      stageLimit: 20,
      verdicts: [],
      nonFinite: 0,
      passed: false,
      different: HOSTILE.map((text) => ({
        case: text,
        prompt: text,
        reference: text,
        truth: text,
        answer: text,
        verdict: 'different',
      })),
    } as unknown as Variant,
  ],
  failures: [{ label: HOSTILE[2]!, code: 'x', message: HOSTILE[3]! }],
  passed: false,
} as unknown as QualityReport;

/** Names of elements in HTML, and the text that it shows. */
function contentOf(root: { readonly childNodes: readonly DefaultTreeAdapterTypes.ChildNode[] }) {
  const names = new Set<string>();
  const attributes = new Set<string>();
  const texts: string[] = [];
  const walk = (node: DefaultTreeAdapterTypes.ChildNode): void => {
    if ('value' in node) texts.push(node.value);
    if ('tagName' in node) names.add(node.tagName);
    if ('attrs' in node) for (const { name } of node.attrs) attributes.add(name);
    if ('childNodes' in node) node.childNodes.forEach(walk);
  };
  root.childNodes.forEach(walk);
  return { names, attributes, text: texts.join('') };
}

const FORBIDDEN = ['script', 'iframe', 'img', 'h1'] as const;

describe('what a samples file says', () => {
  it('stands in Markdown letter by letter, in one cell each, and nothing is made of it', () => {
    const markdown = reportMarkdown(report, 'npx pgconv quality x', [], []);
    const tables = marked
      .lexer(markdown, { gfm: true })
      .filter((token): token is Tokens.Table => token.type === 'table');
    expect(tables).toHaveLength(2);
    const cells = tables[1]!.rows.map((row) =>
      row.map(({ text }) => contentOf(parseFragment(marked.parseInline(text, { gfm: true }) as string)).text),
    );
    expect(cells).toEqual(HOSTILE.toSorted().map((text) => Array<string>(5).fill(visible(text))));
    const { names, text } = contentOf(parseFragment(marked.parse(markdown, { gfm: true }) as string));
    expect(FORBIDDEN.filter((name) => names.has(name))).toEqual(['h1']); // that of the page
    expect(names.has('a')).toBe(false);
    expect(text).toContain(`${visible(HOSTILE[2]!)}: not measured: ${visible(HOSTILE[3]!)}`);
    expect(markdown.split('\n').filter((line) => line.startsWith('# '))).toEqual(['# Quality']);
  });

  it('stands in HTML letter by letter, and nothing is made of it', () => {
    const { names, attributes, text } = contentOf(parse(reportHtml(report, [], [])));
    expect(FORBIDDEN.filter((name) => names.has(name))).toEqual(['h1']);
    expect([...attributes].filter((name) => name.startsWith('on') || name === 'src')).toEqual([]);
    for (const each of HOSTILE) expect(text).toContain(visible(each));
  });
});
