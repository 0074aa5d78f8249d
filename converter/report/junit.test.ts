import { SaxesParser } from 'saxes';
import { describe, expect, it } from 'vitest';
import { junitXml } from './junit.ts';
import { faultyReport, HOSTILE, hostileReport, soundReport } from './testing/reports.ts';

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  text: string;
}

/** All elements of a document, in order. @throws Error for XML that is not well-formed */
function elementsOf(xml: string): readonly Element[] {
  const all: Element[] = [];
  const open: Element[] = [];
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ name, attributes }) => {
    const element = { name, attributes: attributes as Record<string, string>, text: '' };
    all.push(element);
    open.push(element);
  });
  parser.on('text', (text) => {
    if (open.length > 0) open.at(-1)!.text += text;
  });
  parser.on('closetag', () => void open.pop());
  parser.write(xml).close();
  return all;
}

const named = (xml: string, name: string) => elementsOf(xml).filter((element) => element.name === name);

describe('JUnit’s XML', () => {
  it('has a test for each link, and of a fault one failure that names the stage', () => {
    const xml = junitXml({ bundle: 'shapes-onnx-fp16', report: faultyReport });
    expect(named(xml, 'testcase').map(({ attributes }) => attributes['name'])).toEqual([
      'weights',
      'program',
      'original',
    ]);
    const failures = named(xml, 'failure');
    expect(failures).toHaveLength(1);
    expect(failures[0]!.attributes['message']).toContain('the first stage that differs is lm.2 (prefill)');
    expect(failures[0]!.text).toContain('first divergence: three rows, left-padded, prefill, stage lm.2');
    expect(failures[0]!.text).toContain(
      'failed: three rows, left-padded, suffix logits at [0, 0, 0]: relativeL2 1.1e-1',
    );
    expect(failures[0]!.text).toMatch(/^try: .+--bisect/m);
    expect(named(xml, 'skipped').map(({ attributes }) => attributes['message'])).toEqual([
      'no recording of its numbers was given (pgconv record)',
    ]);
    const [suites] = elementsOf(xml);
    expect(suites!.attributes).toMatchObject({ tests: '3', failures: '1', errors: '0', skipped: '1' });
  });

  it('has no failure for a bundle that passed', () => {
    const xml = junitXml({ bundle: 'x', report: soundReport });
    expect(named(xml, 'failure')).toEqual([]);
    expect(named(xml, 'system-out')[0]!.text).toContain('96 stored tensors');
  });

  it('has a test for the baseline, which fails apart from the links', () => {
    const change = {
      case: 'all cases',
      output: 'logits',
      metric: 'meanKld',
      before: 0.01,
      now: 0.02,
      allowed: 0.012,
    } as const;
    const baseline = { passed: false, candidate: 'x', compared: 4, worse: [change], better: [], missing: [] };
    const [failure, ...others] = named(
      junitXml({ bundle: 'x', report: { ...soundReport, passed: false, baseline } }),
      'failure',
    );
    expect(others).toEqual([]);
    expect(failure!.attributes['type']).toBe('worse_than_baseline');
    expect(failure!.text).toBe('worse: all cases, logits: meanKld is 2.0e-2, was 1.0e-2, at most 1.2e-2 is noise');
  });

  it('says what stopped a verification as an error, with its way out', () => {
    const xml = junitXml({
      bundle: 'x',
      error: { code: 'file_damaged', message: 'a < b', file: 'x/y', hint: 'copy it' },
    });
    const [error] = named(xml, 'error');
    expect(error!.attributes).toEqual({ message: 'a < b', type: 'file_damaged' });
    expect(error!.text.split('\n')).toEqual(['file_damaged: a < b', 'file: x/y', 'try: copy it']);
  });

  it('holds hostile names: well-formed, and nothing but their text', () => {
    const xml = junitXml({ bundle: HOSTILE, report: hostileReport });
    const names = new Set(elementsOf(xml).map(({ name }) => name));
    expect([...names].toSorted()).toEqual(
      ['failure', 'properties', 'property', 'skipped', 'testcase', 'testsuite', 'testsuites'].toSorted(),
    );
    const [suite] = named(xml, 'testsuite');
    expect(suite!.attributes['name']).toContain('<script>alert(1)</script> </failure>]]> "&amp;');
    expect(suite!.attributes['name']).toContain(String.raw`a|b\|c\n| d |`);
    expect(suite!.attributes['name']).toContain(String.raw`\u0000\u001b[31m\u202e\ud800`);
  });
});
