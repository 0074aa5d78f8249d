import { createHash } from 'node:crypto';
import { cp, link, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { withFaultyGraphs } from '../bench/faults/faulty_models.ts';
import { GRAPH_FAULTS } from '../bench/faults/graph_faults.ts';
import { pgconv } from '../testing/command_line.ts';
import { printedOutput } from '../testing/printed_output.ts';

/* Files that commands write beside their result: where they may be, and what becomes of the result without them. */

let dir: string;
const at = (name: string) => join(dir, name);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgconv-report-files-'));
  await cp('fixtures/shapes', at('shapes'), { recursive: true });
  await cp('fixtures/pg1-tiny/hf', at('tiny'), { recursive: true });
  for (const end of ['safetensors', 'json'])
    await cp(`fixtures/recordings/pg1-tiny-transformers-5.17.0.${end}`, at(`recorded.${end}`));
  for (const [checkpoint, out] of [
    ['shapes/hf', 'bundle'],
    ['tiny', 'tiny-bundle'],
  ] as const) {
    const made = ['convert', at(checkpoint), '--to', 'onnx', '--dtype', 'fp32', '--no-verify', '--out', at(out)];
    expect(await pgconv(...made)).toMatchObject({ code: 0 });
  }
  await writeFile(at('figures.json'), '{"format": "pgconv-baseline", "version": 1}');
  await symlink(at('shapes/images/000.png'), at('picture.png'));
  await link(at('bundle/README.md'), at('readme.md'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** What is in the folder, letter by letter. */
async function state(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of (await readdir(dir, { recursive: true })).toSorted())
    found.set(
      name,
      (await stat(at(name))).isFile()
        ? createHash('sha256')
            .update(await readFile(at(name)))
            .digest('hex')
        : 'folder',
    );
  return found;
}

/** A line with names of the folder, which have an @ before them. */
const words = (line: string) => line.split(' ').map((word) => (word.startsWith('@') ? at(word.slice(1)) : word));

const CONVERT = 'convert @shapes/hf --to onnx --dtype fp32 --out @new';
const RUN = 'run @bundle --image @shapes/images/000.png --prompt caption';
const QUALITY = 'quality @shapes/hf --dtypes fp32';

describe('are refused before any work, and nothing has changed', () => {
  test.each([
    ['inside_bundle', 'verify @bundle --html @bundle/manifest.json'],
    ['inside_bundle', 'verify @bundle --junit @bundle/report.xml'],
    ['inside_bundle', 'verify @bundle --baseline @bundle/manifest.json --update-baseline'],
    ['overwrites_input', 'verify @bundle --markdown @readme.md'],
    ['overwrites_input', 'verify @bundle --markdown @shapes/hf/config.json'],
    ['overwrites_input', 'verify @bundle --html @shapes/../shapes/hf/model-00001-of-00002.safetensors'],
    ['overwrites_input', 'verify @tiny-bundle --against @recorded.safetensors --html @recorded.safetensors'],
    ['overwrites_input', 'verify @tiny-bundle --against @recorded.safetensors --html @recorded.json'],
    ['overwrites_input', 'verify @bundle --baseline @figures.json --html @figures.json'],
    ['overwrites_input', 'verify @bundle --baseline @shapes/hf/tokenizer.json --update-baseline'],
    ['overwrites_input', 'verify @bundle/onnx --against @shapes/hf --html @bundle/onnx/decoder_model_merged.onnx'],
    ['same_report_file', 'verify @bundle --baseline @figures.json --update-baseline --html @figures.json'],
    ['same_report_file', 'verify @bundle --junit @x --markdown @x'],
    ['inside_bundle', `${CONVERT} --html @new/report.html`],
    ['inside_bundle', `${CONVERT} --html @new`],
    ['inside_bundle', `${CONVERT} --print-ir all --html @new.ir/report.html`],
    ['overwrites_input', `${CONVERT} --html @shapes/hf/tokenizer.json`],
    ['overwrites_input', `${CONVERT} --samples @shapes/eval.json --html @shapes/eval.json`],
    ['overwrites_input', `${CONVERT} --samples @shapes/eval.json --html @picture.png`],
    ['overwrites_input', `${CONVERT} --tokenizer @shapes/tokenizer.model --html @shapes/tokenizer.model`],
    ['overwrites_input', `${CONVERT} --adapter @shapes/lora-shapes --html @shapes/lora-shapes/adapter_config.json`],
    ['overwrites_input', `${CONVERT} --mixed @figures.json --html @figures.json`],
    ['overwrites_input', `${RUN} --draw @shapes/images/000.png`],
    ['overwrites_input', `${RUN} --draw @picture.png`],
    ['inside_bundle', `${RUN} --draw @bundle/boxes.png`],
    ['overwrites_input', `${QUALITY} --markdown @shapes/hf/config.json`],
    ['inside_bundle', `${QUALITY} --bundle @bundle --out @bundle`],
    ['inside_bundle', `${QUALITY} --bundle @bundle --markdown @bundle.md`],
    ['same_report_file', `${QUALITY} --out @q --markdown @q/report.html`],
  ])('%s: %s', async (code, line) => {
    const before = await state();
    const run = await pgconv(...words(line), '--json');
    expect(printedOutput(run.out, 'error')).toMatchObject({ error: { code } });
    expect(run.code).toBe(2);
    expect(await state()).toEqual(before);
  });

  test
    .runIf(process.platform === 'linux')
    .each([
      'verify @bundle --html /proc/pgconv/x.html',
      'verify @bundle --baseline /proc/pgconv/x.json --update-baseline',
      `${CONVERT} --junit /proc/pgconv/x.xml`,
      `${RUN} --draw /proc/pgconv/x.png`,
      `${QUALITY} --out /proc/pgconv`,
      `${QUALITY} --out @q --markdown /proc/pgconv/x.md`,
    ])('a place where none can be: %s', async (line) => {
    const before = await state();
    const run = await pgconv(...words(line), '--json');
    const option = /(--\S+) \/proc/.exec(line)![1]!;
    expect(printedOutput(run.out, 'error')).toMatchObject({
      error: { code: 'parent_missing', hint: expect.stringContaining(option) },
    });
    expect(run.code).toBe(4);
    expect(await state()).toEqual(before);
  });

  test.each(['verify @bundle --html', `${CONVERT} --junit`, `${RUN} --draw`, 'record --script', 'synth --out'])(
    'no name: %s',
    async (line) => {
      const run = await pgconv(...words(line), '', '--json');
      expect(printedOutput(run.out, 'error')).toMatchObject({ error: { code: 'emptyName' } });
      expect(run.code).toBe(2);
    },
  );
});

// takes what is opened and nothing that is written
describe.runIf(process.platform === 'linux')('that cannot be written lose no result', () => {
  afterEach(() => void delete process.env['GITHUB_ACTIONS']);
  const full = { code: 'disk_full', file: '/dev/full' };

  test('of a verification that passed: its verdict, the other reports, and exit 4', async () => {
    process.env['GITHUB_ACTIONS'] = 'true';
    const reports = ['--junit', at('sound.xml'), '--html', '/dev/full', '--markdown', at('sound.md')];
    const { code, out, err } = await pgconv('verify', at('tiny-bundle'), ...reports, '--json');
    expect(printedOutput(out, 'verify')).toMatchObject({ passed: true, unwritten: [full] });
    expect(code).toBe(4);
    expect(err).toMatch(/^disk_full: .+\n {2}at file \/dev\/full\n {2}try: .+--html$/m);
    expect(err).toMatch(/^::error title=pgconv%3A disk_full::/m);
    expect(err).toContain(`report: ${at('sound.xml')}, ${at('sound.md')}\n`);
    expect(await readFile(at('sound.md'), 'utf8')).toContain(': passed');
    const text = await pgconv('verify', at('tiny-bundle'), '--html', '/dev/full');
    expect(text.out).toContain('verification passed');
    expect(text.code).toBe(4);
  });

  test('of one that failed: exit 1', async () => {
    const undo = await withFaultyGraphs(
      at('tiny-bundle'),
      GRAPH_FAULTS.find(({ graph }) => graph === 'vision_encoder')!,
    );
    const { code, out, err } = await pgconv('verify', at('tiny-bundle'), '--html', '/dev/full', '--json');
    await undo();
    expect(printedOutput(out, 'verify')).toMatchObject({ passed: false, unwritten: [full] });
    expect(code, err).toBe(1);
  });

  test('of one that came to no verdict: its own error, with what else failed', async () => {
    const { code, out } = await pgconv('verify', at('nowhere'), '--html', '/dev/full', '--json');
    expect(printedOutput(out, 'error')).toMatchObject({ error: { code: 'not_a_bundle' }, unwritten: [full] });
    expect(code).toBe(3);
  });

  test('of a baseline', async () => {
    const args = ['verify', at('tiny-bundle'), '--baseline', '/dev/full', '--update-baseline', '--json'];
    const { code, out, err } = await pgconv(...args);
    expect(printedOutput(out, 'verify')).toMatchObject({ passed: true, unwritten: [full] });
    expect(err).not.toMatch(/^baseline: /m);
    expect(code).toBe(4);
  });

  test('of a conversion, whose bundle stays', async () => {
    const args = ['convert', at('tiny'), '--to', 'onnx', '--dtype', 'fp32', '--out', at('made'), '--html', '/dev/full'];
    const { code, out, err } = await pgconv(...args, '--json');
    expect(printedOutput(out, 'convert')).toMatchObject({ verification: { passed: true }, unwritten: [full] });
    expect(code, err).toBe(4);
    expect(await readdir(at('made'))).toContain('manifest.json');
  });

  test('of an answer', async () => {
    const { code, out } = await pgconv(...words(`${RUN} --draw /dev/full --json`));
    const answered = printedOutput(out, 'run') as { readonly text: string; readonly drawn?: string };
    expect(answered).toMatchObject({ unwritten: [full] });
    expect(answered.text.length).toBeGreaterThan(0);
    expect(answered.drawn).toBeUndefined();
    expect(code).toBe(4);
  });
});
