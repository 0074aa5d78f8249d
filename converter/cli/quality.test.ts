import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, type ParserError } from 'parse5';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { convert } from '../compile/convert.ts';
import type { QualityReport } from '../quality/report.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';
import { printedOutput } from '../testing/printed_output.ts';
import { textOf } from './io.ts';
import { runCommandLine } from './main.ts';

const folder = tempFolders();
const DTYPES = ['fp16', 'int8'];
const CASES = 2;

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function pgconv(...args: readonly string[]): Promise<Run> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runCommandLine(args, {
    out: (text) => out.push(textOf(text)),
    err: (text) => err.push(textOf(text)),
    reporter: () => ({ ...silentReporter, warn: (text) => err.push(`warning: ${text}`) }),
    signal: new AbortController().signal,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** Parses as the standard says, and gives what it complains of. */
function htmlErrors(text: string): ParserError[] {
  const errors: ParserError[] = [];
  parse(text, { onParseError: (error) => errors.push(error) });
  return errors;
}

let dir: string;
let run: Run;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgconv-quality-test-'));
  run = await pgconv(
    'quality',
    'fixtures/shapes/hf',
    '--samples',
    'fixtures/shapes/eval.json',
    '--dtypes',
    DTYPES.join(),
    '--limit',
    String(CASES),
    '--out',
    dir,
    '--markdown',
    join(dir, 'docs', 'page.md'),
    '--json',
  );
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('pgconv quality', () => {
  test('--json follows its schema, and every dtype meets its targets', () => {
    expect(run.code, run.err).toBe(0);
    const report = printedOutput(run.out, 'quality') as QualityReport;
    expect(report.variants.map(({ label }) => label)).toEqual(DTYPES);
    expect(report.cases).toMatchObject({ count: CASES, withTruth: CASES });
    expect(report.reference).toMatchObject({ kind: 'evaluator', recorded: { same: CASES, of: CASES } });
    expect(report.variants.every(({ positions }) => positions === report.cases.positions)).toBe(true);
    for (const { stages, verdicts, tokensPerSecond } of report.variants) {
      expect(stages.length).toBeGreaterThan(0);
      expect(verdicts.every(({ reason }) => reason.length > 10)).toBe(true);
      expect(tokensPerSecond).toBeGreaterThan(0);
    }
    expect(report.ranges!.values.length).toBeGreaterThan(0);
    const [fp16, int8] = report.variants;
    // More bits, less error: were the two measured on each other's bundle, or against each other, this would not hold.
    expect(fp16!.bitsPerWeight).toBeGreaterThan(int8!.bitsPerWeight);
    expect(fp16!.meanKld).toBeGreaterThan(0);
    expect(fp16!.meanKld).toBeLessThan(int8!.meanKld);
    for (const [i, { snr }] of fp16!.stages.entries())
      if (fp16!.stages[i]!.stage !== 'vit.0') expect(snr).toBeGreaterThan(int8!.stages[i]!.snr);
  });

  test('the page is correct HTML, needs nothing from elsewhere, and has every dtype and every plot with its text', async () => {
    const html = await readFile(join(dir, 'report.html'), 'utf8');
    expect(htmlErrors(html)).toEqual([]);
    expect(htmlErrors('<p><svg></p>'), 'the parser complains of what is wrong').not.toEqual([]);
    expect(html).not.toMatch(/<script|<link|src=|href="http/);
    for (const dtype of DTYPES) expect(html).toContain(`<th scope="row">${dtype}</th>`);
    expect(html.match(/<svg role="img" aria-label="[^"]{40,}/g)).toHaveLength(3);
    expect(html).toContain('color-scheme:light dark');
    expect(html).toContain('stroke="currentColor"');
    expect(html).not.toContain('undefined');
  });

  test('the Markdown page has the table, and plots that lie beside it', async () => {
    const markdown = await readFile(join(dir, 'docs', 'page.md'), 'utf8');
    for (const dtype of DTYPES) expect(markdown).toMatch(new RegExp(`^\\| ${dtype} \\|`, 'm'));
    const pictures = [...markdown.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, path]) => path!);
    expect(pictures).toHaveLength(3);
    for (const path of pictures)
      expect(await readFile(join(dir, 'docs', path), 'utf8')).toMatch(/^<svg [^>]+><style>.*prefers-color-scheme/);
  });

  test('bundles are removed', async () => {
    expect((await readdir(dir)).toSorted()).toEqual(['docs', 'report.html']);
  });
});

test('a bundle from elsewhere is judged beside an fp32 bundle that the evaluator checked, and a bad one misses its targets by name', async () => {
  const out = await folder();
  const made = join(out, 'called-fp16');
  await convert(
    { checkpoint: 'fixtures/shapes/hf', backend: 'onnx', precision: 'fp16', out: made, verify: false },
    silentReporter,
  );
  const data = await open(join(made, 'onnx', 'decoder_model_merged_fp16.onnx_data'), 'r+');
  await data.write(new Uint8Array(100_000), 0, 100_000, 1_200_000); // some matrices of the middle are zero
  await data.close();
  const {
    code,
    out: text,
    err,
  } = await pgconv(
    'quality',
    'fixtures/shapes/hf',
    '--samples',
    'fixtures/shapes/eval.json',
    '--dtypes',
    'fp32',
    '--bundle',
    made,
    '--bundle',
    `int4=${made}`,
    '--limit',
    '2',
    '--baseline',
    'bundle',
    '--check-cases',
    '1',
    '--no-check',
    '--out',
    out,
  );
  expect(code, err).toBe(1);
  expect(text).toMatch(/an fp32 bundle in onnxruntime-node .* on 1 cases its logits are within \d/);
  expect(text).toMatch(/^│ called-fp16 .* !.*MISSED +│$/m);
  expect(text).toMatch(/^│ fp32 .* met +│$/m);
  expect(text).toMatch(/^missed: called-fp16: meanKld is .* at most 0.0001 /m);
  expect(text, 'by the targets that it is told to have').toMatch(/^missed: called-fp16: meanKld is .* at most 0.04 /m);
});

test('--device is where bundles run; before anything is computed, a backend that has none of the name is an error', async () => {
  const out = await folder();
  const args = ['quality', 'fixtures/pg1-tiny/hf', '--dtypes', 'fp32', '--limit', '1', '--device', 'wasm', '--json'];
  const measured = await pgconv(...args, '--backends', 'tfjs', '--out', out);
  const report = printedOutput(measured.out, 'quality') as QualityReport;
  expect(report.variants.map(({ runtime }) => runtime)).toEqual([expect.stringMatching(/^tfjs .* wasm/)]);
  const refused = await pgconv(...args, '--backends', 'tfjs,onnx', '--out', join(out, 'none'));
  expect(printedOutput(refused.out, 'error')).toMatchObject({
    error: { code: 'unknown_device', message: 'onnx has no device "wasm"' },
  });
  expect(refused.code).toBe(2);
  expect(await readdir(out)).toEqual(['report.html']);
});

test('a bundle that is none is refused before anything is computed', async () => {
  const out = await folder();
  const refused = await pgconv(
    'quality',
    'fixtures/pg1-tiny/hf',
    '--bundle',
    'fixtures/shapes',
    '--out',
    join(out, 'x'),
    '--json',
  );
  expect(printedOutput(refused.out, 'error')).toMatchObject({ error: { code: 'not_a_bundle' } });
  expect(await readdir(out)).toEqual([]);
});

test('a checkpoint without cases is measured on built-in pictures; what does not run is told, and the rest is measured', async () => {
  const out = await folder();
  const broken = join(out, 'broken');
  await convert(
    { checkpoint: 'fixtures/pg1-tiny/bv_f32.npz', backend: 'onnx', precision: 'fp16', out: broken, verify: false },
    silentReporter,
  );
  await rm(join(broken, 'onnx', 'decoder_model_merged_fp16.onnx'));
  const { code, out: text } = await pgconv(
    'quality',
    'fixtures/pg1-tiny/bv_f32.npz',
    '--dtypes',
    'fp16',
    '--bundle',
    broken,
    '--limit',
    '1',
    '--out',
    out,
    '--device',
    'cpu',
    '--json',
  );
  const report = printedOutput(text, 'quality') as QualityReport;
  expect(code).toBe(1);
  expect(report.cases).toMatchObject({ source: 'built-in', count: 1, withTruth: 0 });
  expect(report.variants.map(({ label, passed }) => [label, passed])).toEqual([['fp16', true]]);
  expect(report.failures).toMatchObject([
    {
      label: 'broken',
      code: 'bundle_damaged',
      message: expect.stringContaining('onnx/decoder_model_merged_fp16.onnx: it is missing'),
    },
  ]);
});

test.each([
  [['--dtypes', 'fp16,int9'], 'int9'],
  [['--dtypes', 'fp16+rtn'], 'quantizes nothing'],
  [['--backends', 'tensorrt'], 'tensorrt'],
  [['--limit', '0'], 'at least 1'],
  [['--baseline', 'guess'], 'guess'],
])('%j is a mistake of usage', async (flags, message) => {
  const { code, err } = await pgconv('quality', 'fixtures/shapes', ...flags);
  expect(code).toBe(2);
  expect(err).toContain(message);
});

test('--help tells every option, what is measured, and examples', async () => {
  const { code, out } = await pgconv('quality', '--help');
  expect(code).toBe(0);
  for (const word of [
    '--dtypes',
    '--backends',
    '--bundle',
    '--samples',
    '--limit',
    '--calibrate',
    '--mixed',
    '--algorithm',
    '--out',
    '--markdown',
    '--json',
    'teacher-forced',
    'informative',
  ])
    expect(out).toContain(word);
  expect(out).toMatch(/Examples:\n {2}pgconv quality/);
});
