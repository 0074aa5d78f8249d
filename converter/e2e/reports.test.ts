import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { VerifyReport } from '../../verify/verify.ts';
import { withFaultyGraphs } from '../bench/faults/faulty_models.ts';
import { GRAPH_FAULTS } from '../bench/faults/graph_faults.ts';
import { pgconv } from '../testing/command_line.ts';
import { printedOutput } from '../testing/printed_output.ts';

/* Reports of `verify` and `convert`, and the baseline, through the command line. */

let dir: string;
let [floats, codes]: readonly [string, string] = ['', ''];
const at = (name: string) => join(dir, name);
const files = (name: string) => [
  '--junit',
  at(`${name}.xml`),
  '--html',
  at(`${name}.html`),
  '--markdown',
  at(`${name}.md`),
];
const read = (name: string) => readFile(at(name), 'utf8');

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgconv-reports-test-'));
  [floats, codes] = [at('fp32'), at('int4')];
  // codes of random weights cost more than codes may
  for (const [fixture, dtype, out] of [
    ['pg1-tiny', 'fp32', floats],
    ['shapes', 'int4', codes],
  ] as const) {
    const run = await pgconv(
      'convert',
      `fixtures/${fixture}/hf`,
      '--to',
      'onnx',
      '--dtype',
      dtype,
      '--no-verify',
      '--out',
      out,
    );
    expect(run.code, run.err).toBe(0);
  }
});
afterAll(() => rm(dir, { recursive: true, force: true }));
afterEach(() => void delete process.env['GITHUB_STEP_SUMMARY']);

describe('a bundle with one planted fault', () => {
  const fault = GRAPH_FAULTS.find(({ name }) => name.startsWith('keys of the second layer'))!;
  let undo: () => Promise<void>;
  beforeAll(async () => {
    undo = await withFaultyGraphs(floats, fault);
  });
  afterAll(() => undo());

  test('is exit 1, one failure that names the stage, a page with its plot, and Markdown that is a job’s summary', async () => {
    process.env['GITHUB_STEP_SUMMARY'] = at('summary.md');
    const { code, out, err } = await pgconv('verify', floats, ...files('faulty'), '--json');
    expect(code, err).toBe(1);
    const report = printedOutput(out, 'verify') as VerifyReport;
    expect(`${report.firstDivergingStage!.phase} ${report.firstDivergingStage!.stage}`).toBe(fault.shows);
    expect(report.links).toMatchObject({ weights: { verdict: 'held' }, program: { verdict: 'failed' } });

    const xml = await read('faulty.xml');
    const failures = [...xml.matchAll(/<failure message="([^"]+)"/g)];
    expect(failures).toHaveLength(1);
    expect(failures[0]![1]).toContain('the first stage that differs is lm.2 (prefill)');
    const html = await read('faulty.html');
    expect(html).toContain('program: <span class="missed">FAILED</span>');
    expect(html).toMatch(/<svg role="img" aria-label="Error of every stage[^"]+the first at lm\.2/);
    const markdown = await read('faulty.md');
    expect(markdown).toContain('| program | **FAILED** |');
    expect(await read('summary.md')).toBe(`${markdown}\n`);
  });
});

describe('a sound bundle', () => {
  test('has the error of every stage on its page, and no failure', async () => {
    const { code, out, err } = await pgconv('verify', floats, ...files('sound'), '--json');
    expect(code, err).toBe(0);
    const { stages } = printedOutput(out, 'verify') as VerifyReport;
    expect(stages!.stages.map(({ stage }) => stage)).toEqual(
      expect.arrayContaining(['vit.0', 'image_features', 'lm.3']),
    );
    expect(stages!.stages.every(({ relativeL2 }) => relativeL2 <= stages!.limit)).toBe(true);
    expect(await read('sound.xml')).toContain('tests="3" failures="0" errors="0" skipped="1"');
    expect(await read('sound.html')).toContain('all are within it');
    expect(await read('sound.md')).toMatch(/: passed\n/);
  });

  test('that cannot be read has reports that say so, in place of those of another run', async () => {
    await writeFile(at('stale.xml'), 'of another run');
    const { code, out } = await pgconv('verify', at('nowhere'), '--junit', at('stale.xml'), '--json');
    expect(code).toBe(3);
    const { error } = printedOutput(out, 'error') as { readonly error: { readonly code: string } };
    expect(await read('stale.xml')).toContain(`<error message="`);
    expect(await read('stale.xml')).toContain(`type="${error.code}"`);
  });
});

describe('a baseline', () => {
  const baseline = () => at('parity/int4.json');
  interface Figures {
    readonly figures: readonly { readonly output: string; readonly metrics: { meanKld?: number } }[];
  }

  test('is written, and the same bundle is no worse', async () => {
    const missing = await pgconv('verify', codes, '--baseline', baseline(), '--json');
    expect(missing.code).toBe(3);
    expect(printedOutput(missing.out, 'error')).toMatchObject({
      error: { code: 'baseline_missing', file: baseline() },
    });
    const written = await pgconv('verify', codes, '--baseline', baseline(), '--update-baseline');
    expect(written.code, written.err).toBe(0);
    expect(written.err).toMatch(/^baseline: .+int4\.json, figures of \d+ comparisons$/m);
    const same = await pgconv('verify', codes, '--baseline', baseline(), '--json');
    expect(same.code).toBe(0);
    expect(printedOutput(same.out, 'verify')).toMatchObject({
      baseline: { passed: true, worse: [], better: [], missing: [] },
    });
  });

  test('catches a divergence twice as large: exit 1, and says which', async () => {
    // what was half as far off then is twice as far off now
    const before = JSON.parse(await readFile(baseline(), 'utf8')) as Figures;
    const pooled = before.figures.find(({ output }) => output === 'logits against the original')!;
    pooled.metrics.meanKld! /= 2;
    await writeFile(at('half.json'), JSON.stringify(before));
    const { code, out, err } = await pgconv('verify', codes, '--baseline', at('half.json'), ...files('worse'));
    expect(code, err).toBe(1);
    expect(out).toMatch(
      /^worse: all cases, logits against the original: meanKld is \S+, was \S+, at most \S+ is noise$/m,
    );
    expect(out).toMatch(
      /^verification FAILED: (\d+) of \1 checks held, in .+, and figures that are worse than the baseline$/m,
    );
    const xml = await read('worse.xml');
    expect(xml.match(/<failure /g)).toHaveLength(1);
    expect(xml).toContain('type="worse_than_baseline"');
    expect(await read('worse.md')).toContain('### Baseline');
    expect(await read('worse.html')).toContain('<h2 id="baseline">Baseline</h2>');
  });

  test('of another precision, or updated without a file, is bad usage', async () => {
    const other = await pgconv('verify', floats, '--baseline', baseline(), '--json');
    expect(other.code).toBe(2);
    expect(printedOutput(other.out, 'error')).toMatchObject({ error: { code: 'baseline_of_another' } });
    const update = await pgconv('verify', floats, '--baseline', baseline(), '--update-baseline', '--json');
    expect(printedOutput(update.out, 'error')).toMatchObject({ error: { code: 'baseline_of_another' } });
    const none = await pgconv('verify', floats, '--update-baseline', '--json');
    expect(none.code).toBe(2);
    expect(printedOutput(none.out, 'error')).toMatchObject({ error: { code: 'update_without_baseline' } });
  });

  test('of another model is refused before anything is read of the bundle but its manifest', async () => {
    await mkdir(at('no weights'));
    await copyFile(join(codes, 'manifest.json'), at('no weights/manifest.json'));
    const other = JSON.parse(await readFile(baseline(), 'utf8')) as { readonly model: object };
    await writeFile(at('other.json'), JSON.stringify({ ...other, model: { ...other.model, layers: 26 } }));
    const refused = await pgconv('verify', at('no weights'), '--baseline', at('other.json'), '--json');
    expect(printedOutput(refused.out, 'error')).toMatchObject({
      error: { code: 'baseline_of_another', message: expect.stringMatching(/^layers is 26 in the baseline, and \d/) },
    });
    expect(refused.code).toBe(2);
    const own = await pgconv('verify', at('no weights'), '--baseline', baseline(), '--json');
    expect(printedOutput(own.out, 'error')).toMatchObject({ error: { code: 'bundle_damaged' } });
  });

  test('is left as it was by a bundle that does not pass', async () => {
    const kept = '{"format": "pgconv-baseline", "version": 1}';
    await writeFile(at('kept.json'), kept);
    const undo = await withFaultyGraphs(
      floats,
      GRAPH_FAULTS.find(({ graph }) => graph === 'vision_encoder')!,
    );
    const { code, err } = await pgconv('verify', floats, '--baseline', at('kept.json'), '--update-baseline');
    await undo();
    expect(code, err).toBe(1);
    expect(err).toContain('is left as it was: the bundle did not pass');
    expect(await read('kept.json')).toBe(kept);
  });
});

describe('convert', () => {
  const args = ['convert', 'fixtures/pg1-tiny/hf', '--to', 'onnx', '--dtype', 'fp16'];

  test('writes the same reports of the verification that it does', async () => {
    const { code, out, err } = await pgconv(...args, '--out', at('made'), ...files('made'), '--json');
    expect(code, err).toBe(0);
    const result = printedOutput(out, 'convert') as { readonly verification: VerifyReport };
    expect(result.verification.stages!.stages.length).toBeGreaterThan(5);
    expect(await read('made.xml')).toContain('failures="0"');
    expect(await read('made.html')).toContain('Error of every stage');
    expect(await read('made.md')).toContain('| program | held |');
  });

  test('refuses reports of nothing', async () => {
    const { code, out } = await pgconv(...args, '--no-verify', '--html', at('none.html'), '--json');
    expect(code).toBe(2);
    expect(printedOutput(out, 'error')).toMatchObject({ error: { code: 'report_without_verification' } });
  });
});

describe('--json', () => {
  test.each([
    ['a checkpoint', ['fixtures/pg1-tiny/hf']],
    ['a checkpoint with an adapter', ['fixtures/shapes/hf', '--adapter', 'fixtures/shapes/lora-shapes']],
    ['a graph', ['fixtures/pg1-tiny/hf', '--ir', 'embed_tokens']],
    ['a bundle', ['BUNDLE']],
    ['a file of a bundle', ['BUNDLE/onnx/vision_encoder.onnx']],
    ['an export by another program', ['BUNDLE/onnx']],
  ])('of inspect follows its schema: %s', async (_, words) => {
    const { code, out, err } = await pgconv(
      'inspect',
      ...words.map((word) => word.replace('BUNDLE', floats)),
      '--json',
    );
    expect(code, err).toBe(0);
    printedOutput(out, 'inspect');
  });
});
