import { marked, type Tokens } from 'marked';
import { parseFragment, type DefaultTreeAdapterTypes } from 'parse5';
import { describe, expect, it } from 'vitest';
import { oneLine } from '../../ir/text/visible.ts';
import { faultyReport, HOSTILE, hostileReport, soundReport } from './testing/reports.ts';
import { verifyMarkdown } from './verify_markdown.ts';

/** Tables as GitHub's Markdown has them, each row a list of the text that a reader sees. */
function tablesOf(markdown: string): readonly (readonly (readonly string[])[])[] {
  const tables = marked.lexer(markdown, { gfm: true }).filter((token): token is Tokens.Table => token.type === 'table');
  return tables.map(({ header, rows }) =>
    [header, ...rows].map((row) => row.map(({ text }) => shown(marked.parseInline(text, { gfm: true }) as string))),
  );
}

/** What a browser shows of HTML. */
function shown(html: string): string {
  const text = (node: DefaultTreeAdapterTypes.ChildNode): string =>
    'value' in node ? node.value : 'childNodes' in node ? node.childNodes.map(text).join('') : '';
  return parseFragment(html).childNodes.map(text).join('');
}

/** Names of the elements that a page has in place of a report. */
function elementsOf(html: string): ReadonlySet<string> {
  const names = new Set<string>();
  const walk = (node: DefaultTreeAdapterTypes.ChildNode): void => {
    if ('tagName' in node) names.add(node.tagName);
    if ('childNodes' in node) node.childNodes.forEach(walk);
  };
  parseFragment(html).childNodes.forEach(walk);
  return names;
}

describe('Markdown of a verification', () => {
  it('is the verdict, links as a table, what differs first, what to try, and a table of all comparisons', () => {
    const markdown = verifyMarkdown({ bundle: 'shapes-onnx-fp16', report: faultyReport });
    expect(markdown).toMatch(/^## `shapes-onnx-fp16`: FAILED\n/);
    const [links, checks] = tablesOf(markdown);
    expect(links).toEqual([
      ['link', 'verdict', 'what was compared'],
      ['weights', 'held', "96 stored tensors, 1951968 elements against the checkpoint's own"],
      ['program', 'FAILED', '0 of 2 comparisons of the bundle in its runtime with the reference'],
      ['original', 'not tried', 'no recording of its numbers was given (pgconv record)'],
    ]);
    expect(checks![0]).toEqual(['case', 'output', 'max abs', 'rel L2', 'cosine', 'mean KLD', 'same top-1', 'verdict']);
    expect(checks![1]).toEqual([
      'three rows, left-padded',
      'prefill logits',
      '6.8e+0',
      '1.1e-1',
      '0.9945876',
      '2.6e-1',
      '77.45 %',
      'FAILED',
    ]);
    expect(markdown).toContain('stage lm.2: relativeL2 2.6e-1, limit 1.0e-2; prefill lm.1 still agreed');
    expect(markdown).toMatch(/### What to try\n\n- The weights are the checkpoint’s, .+ --bisect/);
  });

  it('of a bundle that passed has no failure', () => {
    const markdown = verifyMarkdown({ bundle: 'x', report: soundReport });
    expect(markdown).toMatch(/^## `x`: passed\n/);
    expect(markdown).not.toMatch(/What differs|What to try|FAILED/);
  });

  it('says what stopped a verification', () => {
    const error = { code: 'not_a_bundle', message: 'no manifest', hint: 'give a folder' };
    expect(verifyMarkdown({ bundle: 'x', error })).toBe(
      '## `x`: NOT VERIFIED\n\nThe verification did not come to a verdict.\n\n```text\nnot_a_bundle: no manifest\ntry: give a folder\n```\n',
    );
  });

  it('shows hostile names letter by letter, in one cell each, and makes nothing of them', () => {
    const markdown = verifyMarkdown({ bundle: HOSTILE, report: hostileReport });
    const name = oneLine(HOSTILE);
    const [links, checks] = tablesOf(markdown);
    expect(links!.map((row) => row.length)).toEqual([3, 3, 3, 3]);
    expect(links![1]![2]).toBe(`1 stored tensors, 1 elements against the checkpoint's own; ${name}`);
    expect(checks!.map((row) => row.length)).toEqual([8, 8, 8]);
    for (const row of checks!.slice(1)) expect(row.slice(0, 2)).toEqual([name, name]);
    const html = marked.parse(markdown, { gfm: true }) as string;
    expect([...elementsOf(html)].toSorted()).toEqual(
      [
        'code',
        'details',
        'h2',
        'h3',
        'li',
        'p',
        'pre',
        'strong',
        'summary',
        'table',
        'tbody',
        'td',
        'th',
        'thead',
        'tr',
        'ul',
      ].toSorted(),
    );
    expect(shown(html.slice(0, html.indexOf('\n')))).toBe(`${name}: FAILED`);
    // mentions, references and links would be made of these outside of code
    const prose = markdown.replaceAll(/^(`{3,})text\n[\s\S]*?\n\1$/gm, '').replaceAll(/<code>.*?<\/code>|`[^`]*`/g, '');
    expect(prose).not.toMatch(/[@#]\w|:\/\//);
  });
});
