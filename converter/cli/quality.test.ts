import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, type ParserError } from 'parse5';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';
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
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    reporter: () => ({ ...silentReporter, warn: (text) => err.push(`warning: ${text}`) }),
    signal: new AbortController().signal,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** What programs may rely on. Numbers that JSON does not have are texts. */
const number = z.union([z.number(), z.enum(['Infinity', '-Infinity', 'NaN'])]);
const share = z.number().min(0).max(1);
const verdict = z.looseObject({ metric: z.string(), value: number, passed: z.boolean(), reason: z.string().min(10) });
const stage = z.strictObject({
  phase: z.enum(['vision', 'prefill', 'suffix']),
  stage: z.string(),
  snr: number,
  cosine: number,
});
const tasks = z.strictObject({
  sameText: share,
  judged: z.int().optional(),
  right: z.int().optional(),
  boxIou: share.optional(),
  boxIouTruth: share.optional(),
});
const schema = z.strictObject({
  tool: z.strictObject({ name: z.literal('pgconv'), version: z.string() }),
  checkpoint: z.array(z.string()),
  model: z.string(),
  parameters: z.int().positive(),
  cases: z.strictObject({ source: z.string(), count: z.int(), withTruth: z.int(), positions: z.int() }),
  reference: z.looseObject({ kind: z.enum(['evaluator', 'bundle']), description: z.string(), why: z.string(), tasks }),
  variants: z.array(
    z.looseObject({
      label: z.string(),
      backend: z.string(),
      precision: z.string(),
      settings: z.object({}),
      help: z.string(),
      runtime: z.string(),
      bytes: z.int(),
      weightBytes: z.int(),
      bitsPerWeight: z.number(),
      positions: z.int(),
      meanKld: number,
      meanKldError: number,
      kld99: number,
      maxKld: number,
      sameTop1: share,
      sameTop1OffTies: share,
      rmsDeltaP: number,
      maxAbsLogit: number,
      nonFinite: z.int(),
      greedy: z.strictObject({ same: z.int(), tie: z.int(), different: z.int() }),
      tasks,
      taskDrop: z.number().optional(),
      tokensPerSecond: z.number().positive(),
      stages: z.array(stage).min(1),
      stageLimit: z.number(),
      verdicts: z.array(verdict).min(1),
      passed: z.boolean(),
      different: z.array(z.looseObject({ case: z.string(), answer: z.string() })),
    }),
  ),
  failures: z.array(z.looseObject({ label: z.string(), code: z.string(), message: z.string() })),
  ranges: z
    .looseObject({
      cases: z.int(),
      values: z.array(z.strictObject({ graph: z.string(), value: z.string(), absMax: z.number() })).min(1),
      findings: z.array(z.unknown()),
    })
    .optional(),
  passed: z.boolean(),
});

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
    const report = schema.parse(JSON.parse(run.out));
    expect(report.variants.map(({ label }) => label)).toEqual(DTYPES);
    expect(report.cases).toMatchObject({ count: CASES, withTruth: CASES });
    expect(report.reference).toMatchObject({ kind: 'evaluator', recorded: { same: CASES, of: CASES } });
    expect(report.variants.every(({ positions }) => positions === report.cases.positions)).toBe(true);
    const [fp16, int8] = report.variants;
    // More bits, less error: were the two measured on each other's bundle, or against each other, this would not hold.
    expect(fp16!.bitsPerWeight).toBeGreaterThan(int8!.bitsPerWeight);
    expect(Number(fp16!.meanKld)).toBeGreaterThan(0);
    expect(Number(fp16!.meanKld)).toBeLessThan(Number(int8!.meanKld));
    for (const [i, { snr }] of fp16!.stages.entries())
      if (fp16!.stages[i]!.stage !== 'vit.0') expect(Number(snr)).toBeGreaterThan(Number(int8!.stages[i]!.snr));
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

test('--device is where bundles run, and a backend that has none of the name is told', async () => {
  const out = await folder();
  const { code, out: text } = await pgconv(
    'quality',
    'fixtures/pg1-tiny/hf',
    '--backends',
    'tfjs,onnx',
    '--dtypes',
    'fp32',
    '--limit',
    '1',
    '--device',
    'wasm',
    '--out',
    out,
    '--json',
  );
  const report = schema.parse(JSON.parse(text));
  expect(code).toBe(1);
  expect(report.variants.map(({ runtime }) => runtime)).toEqual([expect.stringMatching(/^tfjs .* wasm/)]);
  expect(report.failures).toMatchObject([
    { code: 'unknown_device', message: expect.stringContaining('onnx has no device "wasm"') },
  ]);
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
  const report = schema.parse(JSON.parse(text));
  expect(code).toBe(1);
  expect(report.cases).toMatchObject({ source: 'built-in', count: 1, withTruth: 0 });
  expect(report.variants.map(({ label, passed }) => [label, passed])).toEqual([['fp16', true]]);
  expect(report.failures).toMatchObject([{ label: 'broken', code: 'bundle-missing' }]);
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
