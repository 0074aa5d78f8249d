import { parse, type DefaultTreeAdapterTypes, type ParserError } from 'parse5';
import { describe, expect, it } from 'vitest';
import { visible } from '../../ir/text/visible.ts';
import type { Subject } from './subject.ts';
import { device, faultyReport, HOSTILE, hostileReport, soundReport } from './testing/reports.ts';
import { verifyHtml } from './verify_html.ts';

interface Page {
  readonly html: string;
  readonly errors: readonly ParserError[];
  /** Names of elements, and how often. */
  readonly elements: ReadonlyMap<string, number>;
  readonly text: string;
}

async function pageOf(subject: Subject): Promise<Page> {
  const html = await verifyHtml(subject);
  const errors: ParserError[] = [];
  const elements = new Map<string, number>();
  const walk = (node: DefaultTreeAdapterTypes.ChildNode): string => {
    if ('tagName' in node) elements.set(node.tagName, (elements.get(node.tagName) ?? 0) + 1);
    if ('value' in node) return node.value;
    return 'childNodes' in node ? node.childNodes.map(walk).join('') : '';
  };
  const document = parse(html, { onParseError: (error) => errors.push(error) });
  return { html, errors, elements, text: document.childNodes.map(walk).join('') };
}

describe('HTML of a verification', () => {
  it('is one page that needs nothing else, with the verdict by link, the first stage, the plot and the table', async () => {
    const { html, errors, elements, text } = await pageOf({ bundle: 'shapes-onnx-fp16', report: faultyReport });
    expect(errors).toEqual([]);
    expect(html).not.toMatch(/<script|<link|src=|href="http|@import|url\(/);
    expect(elements.get('h1')).toBe(1);
    for (const part of [
      'weights: held',
      'program: FAILED',
      'original: not tried',
      'no recording of its numbers was given (pgconv record)',
    ])
      expect(text).toContain(part);
    expect(text).toContain('first divergence: three rows, left-padded, prefill, stage lm.2');
    expect(text).toContain('Run pgconv verify --bisect');
    // drawn for wide and for narrow screens
    expect(html.match(/<svg role="img" aria-label="Error of every stage[^"]+the first at lm\.2[^"]*"/g)).toHaveLength(
      2,
    );
    expect(text).toContain('limit 1.0e-2');
    expect(html).toContain('color-scheme:light dark');
    expect(text).not.toMatch(/undefined|\[object/);
    expect(text).not.toContain('device:');
    // columns have names, cells those of theirs, and the legend the shade of the points
    expect(html).not.toMatch(/<th[^>]*><\/th>|data-title=""/);
    expect(html).toContain('<td class="missed" data-title="verdict">FAILED</td>');
    expect(
      [...html.matchAll(/role-legend-symbol"[^>]*><path [^>]*opacity="([\d.]+)"/g)].map(([, shade]) => shade),
    ).toEqual(['1', '1', '1', '1']);
  });

  it('says where the bundle ran', async () => {
    const { text } = await pageOf({ bundle: 'x', report: { ...soundReport, device } });
    expect(text).toContain('device: cpu, node 20.20.2: a CPU, x64, 2 threads');
  });

  it('has the plot of a bundle that passed too, where its stages are known', async () => {
    const { text, elements } = await pageOf({ bundle: 'x', report: soundReport });
    expect(text).toContain('all are within it; the largest is 1.0e-4, at lm.1');
    expect(text).not.toMatch(/What differs first|What to try/);
    expect(elements.get('svg')).toBe(2);
    const { stages: _, ...unknown } = soundReport;
    expect((await pageOf({ bundle: 'x', report: unknown })).elements.get('svg')).toBeUndefined();
  });

  it('says what stopped a verification', async () => {
    const { text } = await pageOf({ bundle: 'x', error: { code: 'a_code', message: 'no <b>', hint: 'do this' } });
    expect(text).toContain('x: NOT VERIFIED');
    expect(text).toContain('a_code: no <b>\ntry: do this');
  });

  it('makes nothing of hostile names', async () => {
    const [hostile, sound] = [
      await pageOf({ bundle: HOSTILE, report: hostileReport }),
      await pageOf({ bundle: 'x', report: { ...hostileReport, ...plainNames() } }),
    ];
    expect(hostile.errors).toEqual([]);
    expect([...hostile.elements.keys()].toSorted()).toEqual([...sound.elements.keys()].toSorted());
    expect(hostile.elements.get('script')).toBeUndefined();
    expect(hostile.text).toContain(visible('a|b\\|c\n| d | `e` ``f`` <script>alert(1)</script> </failure>]]> "&amp;'));
    // oxlint-disable-next-line no-control-regex -- finding control characters is the point
    expect(hostile.html).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });
});

/** What is hostile in `hostileReport`, in plain words. */
function plainNames() {
  return JSON.parse(
    JSON.stringify(hostileReport).replaceAll(JSON.stringify(HOSTILE), '"name"'),
  ) as typeof hostileReport;
}
