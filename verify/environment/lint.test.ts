import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Backends there are, and those that the rules foresee; other folders hold what backends share. */
const BACKENDS = [
  ...new Set([
    'onnx',
    'tfjs',
    'wgsl',
    ...readdirSync(join(ROOT, 'backends'), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() && existsSync(join(ROOT, 'backends', entry.name, 'index.ts')) ? [entry.name] : [],
    ),
  ]),
];

/** The rooms of converter/, each with those that it may import; what lies at its root, all may. */
const LOW = ['terminal', 'threads', 'inputs', 'checkpoints', 'text', 'images'];
const COMPILE = [...LOW, 'samples', 'precision', 'models', 'sidecars', 'bundle', 'record'];
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(LOW.map((room) => [room, []])),
  checkpoints: ['inputs'],
  images: ['inputs'],
  samples: ['inputs', 'text', 'images'],
  precision: ['inputs', 'samples', 'terminal', 'text'],
  models: ['inputs', 'checkpoints', 'precision', 'sidecars'],
  sidecars: ['inputs', 'checkpoints', 'text'],
  bundle: ['inputs', 'checkpoints', 'models', 'text'],
  synth: ['checkpoints', 'models'],
  record: ['inputs', 'checkpoints', 'bundle'],
  compile: COMPILE,
  report: [],
  quality: [...COMPILE, 'compile', 'report'],
  cli: [...COMPILE, 'compile', 'report', 'quality', 'synth'],
  bench: [...COMPILE, 'compile', 'report', 'quality', 'synth', 'cli'],
  packing: ['checkpoints'],
};

/** The rooms that may import a backend itself; tests may, too. */
const MAY_NAME_BACKENDS = new Set(['bench']);

const LAYERING = 'eslint(no-restricted-imports)';

/** One planted file: what the linter must say about it, or `undefined` where it must say nothing. */
interface Plant {
  readonly path: string;
  readonly text: string;
  readonly rule: string | undefined;
}

/** A static and a dynamic import, for either way around the direction of dependence. */
const plants = (from: string, rule: string | undefined, targets: readonly string[]): Plant[] =>
  targets.flatMap((target) => [
    {
      path: `${from}_static_${target.replaceAll(/\W/g, '_')}.ts`,
      text: `import type { T } from '${target}';\nexport type Mine = T;\n`,
      rule,
    },
    { path: `${from}_export_${target.replaceAll(/\W/g, '_')}.ts`, text: `export { value } from '${target}';\n`, rule },
    {
      path: `${from}_dynamic_${target.replaceAll(/\W/g, '_')}.ts`,
      text: `export const load = () => import('${target}');\n`,
      rule,
    },
  ]);

const PLANTS: readonly Plant[] = [
  ...plants('ir/in', LAYERING, ['../backends/backend.ts', '../verify/verify.ts', '../converter/errors.ts']),
  ...plants('ir/passes/in', LAYERING, [
    '../../backends/backend.ts',
    '../../verify/verify.ts',
    '../../converter/errors.ts',
  ]),
  ...plants('backends/in', LAYERING, ['../verify/verify.ts', '../converter/errors.ts']),
  ...plants('backends/in', undefined, ['../ir/graph.ts']),
  ...BACKENDS.flatMap((own) => [
    ...plants(`backends/${own}/in`, LAYERING, [
      '../../verify/verify.ts',
      '../../converter/errors.ts',
      ...BACKENDS.filter((other) => other !== own).map((other) => `../${other}/index.ts`),
    ]),
    ...plants(
      `backends/${own}/lower/in`,
      LAYERING,
      BACKENDS.filter((other) => other !== own).map((other) => `../../${other}/index.ts`),
    ),
    ...plants(`backends/${own}/in`, undefined, ['../backend.ts', '../../ir/graph.ts', `../${own}/index.ts`]),
  ]),
  ...plants('backends/wgsl/runtime/in', LAYERING, [
    '../../../ir/graph.ts',
    '../compile/compile.ts',
    '../../onnx/index.ts',
    '../../../verify/verify.ts',
    '../../../converter/errors.ts',
  ]),
  ...plants('backends/wgsl/runtime/in', undefined, ['../bundle/plan.ts', '../../../ir/metadata.ts']),
  ...plants('backends/client/in', LAYERING, [
    '../../ir/graph.ts',
    '../wgsl/runtime/model.ts',
    '../tfjs/driver/model.ts',
    '../../verify/verify.ts',
    '../../converter/errors.ts',
  ]),
  ...plants('backends/client/generation/in', undefined, ['../../../ir/metadata.ts', '../errors.ts']),
  ...plants('verify/in', LAYERING, [
    '../converter/errors.ts',
    '../backends/lowering.ts',
    ...BACKENDS.map((backend) => `../backends/${backend}/index.ts`),
  ]),
  ...plants('verify/in', undefined, [
    '../backends/backend.ts',
    '../backends/index.ts',
    '../backends/client/generation/decode.ts',
    '../ir/graph.ts',
  ]),
  ...plants('converter/in', undefined, [
    '../backends/backend.ts',
    '../backends/client/x.ts',
    '../verify/verify.ts',
    '../ir/graph.ts',
  ]),
  ...plants(
    'converter/in',
    LAYERING,
    BACKENDS.map((backend) => `../backends/${backend}/index.ts`),
  ),
  ...Object.entries(ROOMS).flatMap(([room, allowed]) => {
    const others = [...Object.keys(ROOMS), 'e2e', 'testing'].filter((other) => other !== room);
    return [
      ...plants(
        `converter/${room}/in`,
        LAYERING,
        others.filter((other) => !allowed.includes(other)).map((other) => `../${other}/x.ts`),
      ),
      ...plants(`converter/${room}/in`, undefined, [
        '../errors.ts',
        '../../backends/backend.ts',
        '../../backends/client/x.ts',
        '../../backends/readme/x.ts',
        ...allowed.map((other) => `../${other}/x.ts`),
      ]),
      ...plants(
        `converter/${room}/in`,
        MAY_NAME_BACKENDS.has(room) ? undefined : LAYERING,
        BACKENDS.map((backend) => `../../backends/${backend}/index.ts`),
      ),
    ];
  }),
  {
    path: 'ir/cycle_a.ts',
    text: `import { b } from './cycle_b.ts';\nexport const a = (): number => b();\n`,
    rule: 'import(no-cycle)',
  },
  {
    path: 'ir/cycle_b.ts',
    text: `import { a } from './cycle_a.ts';\nexport const b = (): number => a();\n`,
    rule: 'import(no-cycle)',
  },
  { path: 'ir/any.ts', text: 'export const x: any = 1;\n', rule: 'typescript(no-explicit-any)' },
  { path: 'ir/ignore.ts', text: '// @ts-ignore\nexport const x: string = 1;\n', rule: 'typescript(ban-ts-comment)' },
  { path: 'ir/unused.ts', text: 'const x = 1;\nexport const y = 2;\n', rule: 'eslint(no-unused-vars)' },
  {
    path: 'ir/floating.ts',
    text: 'export async function f(): Promise<void> {}\nf();\n',
    rule: 'typescript(no-floating-promises)',
  },
  {
    path: 'ir/switch.ts',
    text: `export function f(x: 'a' | 'b'): number {\n  switch (x) {\n    case 'a':\n      return 1;\n  }\n  return 0;\n}\n`,
    rule: 'typescript(switch-exhaustiveness-check)',
  },
  {
    path: 'ir/long.ts',
    text: Array.from({ length: 401 }, (_, i) => `export const x${i} = ${i};\n`).join(''),
    rule: 'eslint(max-lines)',
  },
  {
    path: 'ir/only.test.ts',
    text: `import { expect, it } from 'vitest';\nit.only('x', () => expect(1).toBe(1));\n`,
    rule: 'vitest(no-focused-tests)',
  },
  {
    path: 'ir/empty.test.ts',
    text: `import { it } from 'vitest';\nit('cannot fail', () => {});\n`,
    rule: 'vitest(expect-expect)',
  },
];

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
}

let dir: string;
let found: readonly Diagnostic[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'pgconv-lint-'));
  for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json'])
    copyFileSync(join(ROOT, file), join(dir, file));
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  const targets = [
    'ir/graph.ts',
    'backends/backend.ts',
    'backends/index.ts',
    'backends/lowering.ts',
    'backends/wgsl/bundle/plan.ts',
    'backends/wgsl/compile/compile.ts',
    'verify/verify.ts',
    'converter/errors.ts',
    ...BACKENDS.map((backend) => `backends/${backend}/index.ts`),
    'backends/client/x.ts',
    'backends/readme/x.ts',
    ...Object.keys(ROOMS).map((room) => `converter/${room}/x.ts`),
  ];
  for (const path of targets) write(path, 'export type T = 1;\nexport const value = 1;\n');
  for (const { path, text } of PLANTS) write(path, text);
  found = await lint(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), text);
}

/** The linter as `npm run lint` starts it. */
function lint(folder: string): Promise<readonly Diagnostic[]> {
  return new Promise((done, fail) => {
    execFile(
      process.execPath,
      [join(ROOT, 'node_modules/oxlint/bin/oxlint'), '-f', 'json', 'ir', 'backends', 'verify', 'converter'],
      { cwd: folder, maxBuffer: 1 << 26 },
      (_, stdout, stderr) => {
        try {
          done((JSON.parse(stdout) as { diagnostics: readonly Diagnostic[] }).diagnostics);
        } catch (error) {
          fail(new Error(`oxlint printed no report: ${stdout}${stderr}`, { cause: error }));
        }
      },
    );
  });
}

const reported = ({ path, rule }: Plant): boolean =>
  found.some((diagnostic) => diagnostic.filename === path && diagnostic.code === rule);

describe('the linter', () => {
  it.each([...new Set(PLANTS.flatMap(({ rule }) => rule ?? []))])('reports every %s that is planted', (rule) => {
    const planted = PLANTS.filter((plant) => plant.rule === rule);
    expect(planted.filter((plant) => !reported(plant))).toEqual([]);
  });

  it('has an arrow for every room of converter/', () => {
    const folders = readdirSync(join(ROOT, 'converter'), { withFileTypes: true });
    expect(folders.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()).toEqual(
      [...Object.keys(ROOMS), 'e2e', 'testing'].sort(),
    );
  });

  it('lets the allowed directions pass', () => {
    const allowed = new Set(PLANTS.filter(({ rule }) => rule === undefined).map(({ path }) => path));
    expect(allowed.size).toBeGreaterThan(20);
    expect(found.filter(({ filename }) => allowed.has(filename))).toEqual([]);
  });
});
