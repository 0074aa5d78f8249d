import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parseSync } from 'rolldown/utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packAll, type Tarball } from '../packing/pack.ts';

/* What `npm install pgconv` would bring, installed from its tarball in empty projects: README's own lines run there. */

const run = promisify(execFile);
/** Issue 24: what people download for a command line. */
const MOST_BYTES = 800_000;
const MOST_EXAMPLE_BYTES = 2_000_000;
/** onnxruntime-node fetches CUDA libraries by itself, which no test asks for. */
const ENVIRONMENT = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip', npm_config_prefer_offline: 'true' };

let root: string;
let project: string;
let [pgconv, example]: readonly (Tarball | undefined)[] = [];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-package-'));
  [pgconv, example] = await packAll(resolve('.'), join(root, 'packed'));
  project = join(root, 'project');
  await mkdir(project);
  await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function shell(line: string): Promise<Done> {
  return run('bash', ['-c', line], { cwd: project, env: ENVIRONMENT, maxBuffer: 1 << 26 }).then(
    (done) => ({ code: 0, ...done }),
    (error: Done) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }),
  );
}

/** The lines of the shell in a section of a document, with our packages as files: neither is in the registry. */
async function commandsOf(document: string, heading: string): Promise<readonly string[]> {
  const text = await readFile(document, 'utf8');
  const section = text.slice(text.indexOf(`${heading}\n`)).split(/\n(?=#)/)[0]!;
  return [...section.matchAll(/```sh\n([^]*?)```/g)]
    .flatMap(([, lines]) => lines!.trim().split('\n'))
    .map((line) =>
      line.startsWith('npm install') || line.includes(' npm install')
        ? line.replace(/ pgconv-example\b/, ` ${example!.path}`).replace(/ pgconv\b/, ` ${pgconv!.path}`)
        : line,
    );
}

describe('the tarballs', () => {
  test('are small, and hold neither maps, benchmarks, tests nor scripts', () => {
    expect(pgconv!.bytes).toBeLessThanOrEqual(MOST_BYTES);
    expect(example!.bytes).toBeLessThanOrEqual(MOST_EXAMPLE_BYTES);
    expect(
      pgconv!.files.filter((path) => /\.map$|bench\/|packing\/|\.test\.|testing\/|\.ts$(?<!\.d\.ts)/.test(path)),
    ).toEqual([]);
    expect(pgconv!.files).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/converter/cli.js']),
    );
  });

  test('are what npm would publish', async () => {
    for (const { name, version, path } of [pgconv!, example!]) {
      const args = ['publish', path, '--dry-run', '--provenance=false', '--json'];
      const { stdout } = await run('npm', args, { cwd: root });
      expect(stdout).toContain(`"${name}@${version}"`);
    }
  }, 120_000);

  test('have one version', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect([pgconv!.version, example!.version]).toEqual([version, version]);
    expect(await readFile('CHANGELOG.md', 'utf8')).toContain(version);
  });
});

describe('in an empty project', () => {
  let commands: readonly string[];
  beforeAll(async () => {
    commands = await commandsOf('README.md', '## In a project of yours');
    // what is said without a runtime comes first
    const { code, stderr } = await shell(commands[0]!);
    expect(code, stderr).toBe(0);
  }, 240_000);

  test('without a runtime: which one, by which line, before any work', async () => {
    const convert = commands.find((line) => line.includes('pgconv convert'))!;
    const { code, stderr } = await shell(convert);
    expect(code).toBe(2);
    expect(stderr).toContain('the package onnxruntime-node is not installed');
    expect(stderr).toContain('npm install onnxruntime-node');
    expect(stderr).not.toContain('calibrate');
  }, 120_000);

  test('plots are an optional package, asked for by name before the work', async () => {
    const { code, stderr } = await shell('npx pgconv quality node_modules/pgconv-example');
    expect(code).toBe(2);
    expect(stderr).toContain('the packages vega, vega-lite are not installed, which draw the plots of reports');
    await expect(stat(join(project, 'pgconv-example-quality'))).rejects.toThrow('ENOENT');
  }, 120_000);

  test('types of every entry but tfjs hold by tsc --strict with every declaration looked at, in 5.9 and 7', async () => {
    await writeFile(join(project, 'use.ts'), USE);
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: STRICT, files: ['use.ts'] }));
    const old = await shell('npm install --no-save --ignore-scripts typescript@5.9');
    expect(old.code, old.stderr).toBe(0);
    for (const compiler of ['node_modules/typescript/bin/tsc', resolve('node_modules/typescript/bin/tsc')]) {
      const { code, stdout } = await shell(`node ${compiler} --version && node ${compiler} -p .`);
      expect(stdout).toMatch(/^Version [57]\.\d+\.\d+\n$/);
      expect(code).toBe(0);
    }
  }, 240_000);

  test('README’s lines bring an answer: at most 5 commands', async () => {
    expect(commands.length).toBeLessThanOrEqual(5);
    const said: string[] = [];
    for (const line of commands.slice(1)) {
      const { code, stdout, stderr } = await shell(line);
      expect(code, `${line}\n${stderr}`).toBe(0);
      said.push(stdout);
    }
    expect(said.join('')).toContain('green circle');
    // rounding to 8 bits changed none of the answers that eval.json has
    expect(said.join('').match(/│ same/g)).toHaveLength(5);
    expect(said.join('')).not.toContain('differs');
  }, 240_000);

  test('the programmatic entry converts, verifies and inspects, and throws what the command would say', async () => {
    await writeFile(join(project, 'program.js'), PROGRAM);
    const { code, stdout, stderr } = await shell('node program.js');
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ kind: 'bundle', passed: true, refused: 'exists' });
  }, 240_000);

  test('the runtime as one file has no import that a page cannot follow', async () => {
    const file = join(project, 'node_modules/pgconv/dist/runtime.min.js');
    const code = await readFile(file, 'utf8');
    const { staticImports, dynamicImports } = parseSync(file, code).module;
    expect(staticImports).toEqual([]);
    // what Node alone has is asked for by a name that is computed
    const asked = dynamicImports.map(({ moduleRequest: { start, end } }) => code.slice(start, end));
    expect(asked.filter((name) => /^["'`]/.test(name))).toEqual([]);
    const { stdout } = await shell(`node -e "import('${file}').then((m) => console.log(Object.keys(m).join()))"`);
    expect(stdout).toContain('load');
  });
});

const STRICT = {
  strict: true,
  noEmit: true,
  skipLibCheck: false,
  target: 'ES2023',
  lib: ['ES2023', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
  module: 'nodenext',
  types: [],
};

const USE = `
import { convert, inspect, verify, PgconvError, type Reporter } from 'pgconv';
import { load } from 'pgconv/runtime';
import * as answers from 'pgconv/answers';
import * as pixels from 'pgconv/pixels';
import * as integrity from 'pgconv/integrity';
const reporter: Reporter = { stage: () => ({ advance() {}, done() {} }), note() {}, warn() {}, close() {} };
export async function all(): Promise<string> {
  const made = await convert({ checkpoint: 'c', backend: 'onnx', precision: 'fp16', out: 'o', reporter });
  const report = await verify({ bundle: made.out });
  const seen = await inspect({ path: made.out });
  const model = await load('./bundle');
  for await (const piece of model.generate({ image: 'a.png', prompt: 'x' })) console.log(piece);
  return String(report.passed) + seen.kind + String(PgconvError) + String([answers, pixels, integrity]);
}
`;

const PROGRAM = `
import { convert, inspect, verify, PgconvError } from 'pgconv';
const request = { checkpoint: 'node_modules/pgconv-example', backend: 'onnx', precision: 'fp32', out: 'by-program' };
const { out } = await convert({ ...request, verify: false });
const { kind } = await inspect({ path: out });
const { passed } = await verify({ bundle: out });
const refused = await convert(request).catch((error) => error instanceof PgconvError && error.code);
console.log(JSON.stringify({ kind, passed, refused }));
`;
