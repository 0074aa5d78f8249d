import { copyFile, cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { minifySync } from 'rolldown/utils';
import { copyDeclarations } from './declarations.ts';
import { writeExample } from './example.ts';
import { writeOneFile } from './one_file.ts';

/** Fields of package.json that only a clone has a use for. */
const OF_A_CLONE = ['private', 'files', 'scripts', 'allowScripts', 'devDependencies'] as const;
/** Built, and never run by users: what measures, what packs, and what generates sources. */
const UNPACKED = /^converter\/(?:bench|packing|cli\/schemas)\/|^backends\/tfjs\/check\/generate\./;
/** Comments that bundlers read: files with these keep theirs. */
const READ_BY_BUNDLERS = /@vite-ignore|webpackIgnore|@__PURE__/;
/** Names that TypeScript's own `DOM` has from 6.0 on; before, and with that twice, they are those of @webgpu/types. */
const OF_WEBGPU = /\bGPU[A-Z]\w+/;
const BEFORE_WEBGPU = 'types@<6.0';
/** The runtime of shaders as one file, for pages without a bundler. */
const ONE_FILE = 'dist/runtime.min.js';
const ONE_FILE_NAME = './runtime/page';

/** A package.json as far as it is read here. */
interface Described {
  readonly version: string;
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  readonly [field: string]: unknown;
}

/**
 * Lays out what `npm install pgconv` brings, from a clone whose `dist` is built: code without comments and white space,
 * with the names of its functions; declarations that an entry reaches; neither maps nor benchmarks nor scripts.
 */
export async function stagePackage(clone: string, dir: string): Promise<void> {
  const built = join(clone, 'dist');
  await mkdir(dir, { recursive: true });
  for (const entry of await readdir(built, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(built.length + 1);
    if (!entry.isFile() || UNPACKED.test(path) || path.endsWith('.d.ts')) continue;
    await mkdir(dirname(join(dir, 'dist', path)), { recursive: true });
    if (path.endsWith('.js'))
      await writeFile(join(dir, 'dist', path), small(path, await readFile(join(built, path), 'utf8')));
    else await copyFile(join(built, path), join(dir, 'dist', path));
  }
  const described = JSON.parse(await readFile(join(clone, 'package.json'), 'utf8')) as Described;
  const exports: Record<string, unknown> = { ...described.exports };
  for (const [name, entry] of Object.entries(described.exports)) {
    if (typeof entry === 'string') continue;
    const types = entry.types.replace('./dist/', '');
    const texts = await copyDeclarations(types, built, join(dir, 'dist'));
    if (texts.some((text) => OF_WEBGPU.test(text)))
      exports[name] = { [BEFORE_WEBGPU]: await withWebgpuTypes(types, join(dir, 'dist')), ...entry };
  }
  await writeOneFile(join(built, 'backends/wgsl/runtime/index.js'), join(dir, ONE_FILE));
  exports[ONE_FILE_NAME] = `./${ONE_FILE}`;
  const own = Object.fromEntries(
    Object.entries({ ...described, exports }).filter(([field]) => !(OF_A_CLONE as readonly string[]).includes(field)),
  );
  await writeFile(join(dir, 'package.json'), `${JSON.stringify(own, null, 2)}\n`);
  for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md']) await copyFile(join(clone, name), join(dir, name));
}

/** The same for `pgconv-example`, whose weights are made of the fixture. */
export async function stageExample(clone: string, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await cp(join(clone, 'examples/checkpoint'), dir, { recursive: true });
  await copyFile(join(clone, 'LICENSE'), join(dir, 'LICENSE'));
  await writeExample(join(clone, 'fixtures/shapes'), dir);
}

/** A module without comments and white space, a third of what is packed. Functions keep their names. */
function small(path: string, code: string): string {
  if (READ_BY_BUNDLERS.test(code)) return code;
  const [shebang] = /^#!.*\n/.exec(code) ?? [''];
  const { code: made, errors } = minifySync(path, code, {
    module: true,
    compress: false,
    mangle: { toplevel: false, keepNames: true },
    codegen: { removeWhitespace: true },
  });
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]!.message}`);
  return made.startsWith(shebang) ? made : shebang + made;
}

/** Declarations of an entry for a TypeScript that knows no WebGPU. Returns their path in the package. */
async function withWebgpuTypes(types: string, dist: string): Promise<string> {
  const path = types.replace(/\.d\.ts$/, '.webgpu.d.ts');
  const entry = `./${basename(types).replace(/\.d\.ts$/, '.js')}`;
  await writeFile(join(dist, path), `/// <reference types="@webgpu/types" />\nexport * from '${entry}';\n`);
  return `./dist/${path}`;
}
