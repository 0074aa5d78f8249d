import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { commandLine } from '../cli/main.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { testBuild } from '../testing/build.ts';
import { notingPrograms, readAction, runAction, runScript, type CompositeAction } from '../testing/ci_steps.ts';
import { printedOutput } from '../testing/printed_output.ts';

/* The GitHub Action, and the examples for GitHub and GitLab: their shell steps are run as they stand. */

const root = fileURLToPath(new URL('../../', import.meta.url));
const build = testBuild();
const example = join(root, 'examples/fine-tune');
const OF_TREE = ['action.yml', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

let action: CompositeAction;
let dir: string;
/** The tree as a runner has it, installed and built. */
let actionPath: string;
/** A repository that holds a fine-tune. */
let repository: string;

beforeAll(async () => {
  action = await readAction(join(root, 'action.yml'));
  dir = await mkdtemp(join(tmpdir(), 'pgconv-action-test-'));
  [actionPath, repository] = [join(dir, 'action'), join(dir, 'repository')];
  await mkdir(actionPath);
  for (const name of [...OF_TREE, 'ir', 'backends', 'verify', 'converter', 'node_modules'])
    await symlink(join(root, name), join(actionPath, name));
  await symlink(build, join(actionPath, 'dist'));
  await cp(example, repository, { recursive: true });
  await cp(join(root, 'fixtures/shapes/hf'), join(repository, 'model'), { recursive: true });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const read = (path: string) => readFile(join(repository, path), 'utf8');

describe('the action', () => {
  const run = (inputs: Readonly<Record<string, string>>, env = {}) =>
    runAction(action, { actionPath, workspace: repository, inputs: { checkpoint: 'model', ...inputs }, env });

  test('converts a fine-tune, verifies it, and leaves reports, outputs, an annotation and the summary of the job', async () => {
    const { code, steps, outputs } = await run({ dtype: 'fp16', 'verify-options': '--against\nmodel' });
    expect(code, JSON.stringify(steps, null, 2)).toBe(0);
    expect(outputs).toEqual({ verdict: 'passed', bundle: 'pgconv-bundle', reports: 'pgconv-reports' });
    expect(steps['Set up pgconv and the runtimes']!.output).toBe('from the cache\n');
    expect(steps['Verify']!.output).toMatch(/^::notice title=pgconv%3A pgconv-bundle::verification passed: /m);
    expect((await readdir(join(repository, 'pgconv-reports'))).toSorted()).toEqual([
      'convert.json',
      'verify.html',
      'verify.json',
      'verify.md',
      'verify.xml',
    ]);
    printedOutput(await read('pgconv-reports/convert.json'), 'convert');
    printedOutput(await read('pgconv-reports/verify.json'), 'verify');
    expect(await read('summary.md')).toContain(await read('pgconv-reports/verify.md'));
  });

  test('fails a bundle that is worse than its baseline, with an annotation that says so', async () => {
    // what was nothing then is far off now
    const baseline = JSON.parse(await read('parity/onnx-fp16.json')) as {
      figures: { metrics: { relativeL2?: number } }[];
    };
    for (const { metrics } of baseline.figures) if (metrics.relativeL2) metrics.relativeL2 = 0;
    await writeFile(join(repository, 'parity/better.json'), JSON.stringify(baseline));
    const { code, steps, outputs } = await run({
      baseline: 'parity/better.json',
      reports: 'worse',
      out: 'bundles/worse',
    });
    expect(code, steps['Verify']?.output).toBe(1);
    expect(outputs['verdict']).toBe('failed');
    expect(steps['Verify']!.output).toMatch(/^::error title=pgconv%3A bundles\/worse::of \d+ figures \d+ are worse/m);
    expect(await read('worse/verify.xml')).toContain('type="worse_than_baseline"');
  });

  test('fails with an annotation where there is nothing to convert, and what inputs say is never run', async () => {
    const { code, steps } = await run({ checkpoint: 'no $(touch hacked) "model`touch hacked`' });
    expect(code).toBe(2);
    expect(steps['Convert']!.output).toMatch(/^::error title=pgconv%3A \w+::/m);
    expect(steps['Verify']).toBeUndefined();
    expect(await readdir(repository)).not.toContain('hacked');
  });

  test('installs where nothing is cached, and a software GPU only for what needs one', async () => {
    const programs = join(dir, 'programs');
    await mkdir(programs);
    const { path, calls } = await notingPrograms(programs, ['npm', 'apt-get', 'sudo', 'ldconfig', 'chown']);
    const bare = join(dir, 'bare');
    await mkdir(bare);
    const home = join(dir, 'home');
    const step = (name: string) => action.runs.steps.find((each) => each.name === name)!.run!;
    const env = { PATH: path, HOME: home, GITHUB_ACTION_PATH: bare };
    expect((await runScript(step('Set up pgconv and the runtimes'), { cwd: repository, env })).code).toBe(0);
    for (const [TO, DEVICE] of [
      ['onnx', ''],
      ['tfjs', 'cpu'],
    ] as const)
      expect(
        (await runScript(step('Set up a software GPU'), { cwd: repository, env: { ...env, TO, DEVICE } })).code,
      ).toBe(0);
    expect(await readFile(calls, 'utf8')).toBe('npm ci --no-audit --no-fund\n');
    const shaders = await runScript(step('Set up a software GPU'), {
      cwd: repository,
      env: { ...env, TO: 'wgsl', DEVICE: '' },
    });
    expect(shaders.code, shaders.output).toBe(0);
    expect(await readFile(calls, 'utf8')).toMatch(/apt-get .*install .*libvulkan1 mesa-vulkan-drivers\n/);
  });

  test('caches under a key of its sources', async () => {
    const { run: script } = action.runs.steps.find(({ id }) => id === 'key')!;
    const key = async () => {
      const output = join(dir, 'key');
      await writeFile(output, '');
      const env = { GITHUB_ACTION_PATH: copy, GITHUB_OUTPUT: output };
      expect((await runScript(script!, { cwd: dir, env })).code).toBe(0);
      return readFile(output, 'utf8');
    };
    const copy = join(dir, 'copy');
    await mkdir(copy);
    for (const folder of ['ir', 'backends', 'verify', 'converter']) {
      await mkdir(join(copy, folder));
      await writeFile(join(copy, folder, 'a.ts'), folder);
    }
    for (const name of OF_TREE) await cp(join(root, name), join(copy, name));
    const first = await key();
    expect(first).toMatch(/^key=pgconv-Linux-\w+-node\d+-[0-9a-f]{64}\n$/);
    expect(await key()).toBe(first);
    await writeFile(join(copy, 'ir', 'a.ts'), 'changed');
    expect(await key()).not.toBe(first);
  });

  test('says what it has, and reads no expression within a script', () => {
    expect(action.runs.using).toBe('composite');
    for (const step of action.runs.steps) {
      if (step.uses) expect(step.uses).toMatch(/^actions\/(?:setup-node|cache|upload-artifact)@v\d+$/);
      else expect(step).toMatchObject({ shell: 'bash', run: expect.not.stringContaining('${{') });
    }
    const names = Object.keys(action.inputs);
    const used = [...JSON.stringify(action).matchAll(/inputs\.([\w-]+)/g)].map(([, name]) => name!);
    expect([...new Set(used)].toSorted()).toEqual(names.toSorted());
  });
});

interface Workflow {
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly strategy: { readonly matrix: { readonly include: readonly { to: string; dtype: string }[] } };
        readonly steps: readonly { readonly uses?: string; readonly with?: Readonly<Record<string, string>> }[];
      }
    >
  >;
}

describe('the example of a repository that holds a fine-tune', () => {
  test('in GitHub gives the action inputs that it has, and baselines that are there', async () => {
    const { jobs } = parse(await read('.github/workflows/parity.yml')) as Workflow;
    const { steps, strategy } = jobs['parity']!;
    const own = steps.find(({ uses }) => uses === './.pgconv')!;
    expect(Object.keys(own.with!).filter((name) => !(name in action.inputs))).toEqual([]);
    expect(own.with!['checkpoint']).toBe('model');
    const baselines = strategy.matrix.include.map(({ to, dtype }) => `${to}-${dtype}.json`);
    expect((await readdir(join(example, 'parity'))).toSorted()).toEqual(baselines.toSorted());
  });

  test('in GitLab: its script passes on a fixture as the fine-tune, with its baseline', async () => {
    const file = parse(await read('.gitlab-ci.yml')) as {
      readonly variables: Readonly<Record<string, string>>;
      readonly parity: { readonly before_script: readonly string[]; readonly script: readonly string[] };
    };
    await symlink(actionPath, join(repository, '.pgconv'));
    const { before_script: before, script } = file.parity;
    const env = { ...file.variables, TO: 'onnx', DTYPE: 'int4' };
    const { code, output } = await runScript([...before, ...script].join('\n'), {
      cwd: repository,
      env,
      flags: ['-eo', 'pipefail'],
    });
    expect(code, output).toBe(0);
    expect(output).toMatch(/no worse than the baseline: \d+ figures compared/);
    expect(await read('reports/onnx-int4.xml')).toContain('failures="0"');
  });

  test('clones and installs pgconv where it is not cached', async () => {
    const programs = join(dir, 'git');
    await mkdir(programs);
    const { path, calls } = await notingPrograms(programs, ['git', 'npm']);
    const file = parse(await read('.gitlab-ci.yml')) as {
      readonly parity: { readonly before_script: readonly string[] };
    };
    const empty = join(dir, 'empty');
    await mkdir(empty);
    const env = { PATH: path, PGCONV_REF: 'v1', PGCONV_REPOSITORY: 'https://example.org/pgconv.git' };
    const { code } = await runScript(file.parity.before_script.join('\n'), {
      cwd: empty,
      env,
      flags: ['-eo', 'pipefail'],
    });
    // what was to be cloned is not there
    expect(code).not.toBe(0);
    expect(await readFile(calls, 'utf8')).toBe(
      'git clone --depth 1 --branch v1 https://example.org/pgconv.git .pgconv\n',
    );
  });
});

test('options that the action and the examples name are those of the command line', async () => {
  const io = { out() {}, err() {}, reporter: () => silentReporter, signal: new AbortController().signal };
  const options = new Set(
    commandLine(io, { exitCode: 0 }).commands.flatMap((each) => each.options.map(({ long }) => long)),
  );
  const scripts = [
    ...action.runs.steps.filter(({ name }) => name === 'Convert' || name === 'Verify').map(({ run }) => run!),
    ...(parse(await read('.gitlab-ci.yml')) as { parity: { script: string[] } }).parity.script,
  ];
  const named = scripts.flatMap((script) =>
    [...script.matchAll(/(?<![-\w])--[a-z][a-z-]+/g)].map(([option]) => option),
  );
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((option) => !options.has(option))).toEqual([]);
});
