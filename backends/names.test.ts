import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { backendNames, findBackend } from './find_backend.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Where a backend may be named: its own folder, the index, benchmarks and what is for tests. */
const MAY_NAME = /^backends\/(index\.ts$|(?!client\/|readme\/)\w+\/)|^converter\/(bench|e2e)\/|\/testing\/|\.test\.ts$/;

/** Sources that must not know which backends there are. */
function sources(): readonly string[] {
  const tracked = execFileSync('git', ['ls-files', '*.ts', '*.js'], { cwd: ROOT, encoding: 'utf8' }).split('\n');
  return tracked.filter((path) => /^(ir|backends|verify|converter)\//.test(path) && !MAY_NAME.test(path));
}

/** Where a backend's name is a string of its own, a key or a member: what code branches on. Prose may name one. */
function naming(text: string, names: readonly string[]): readonly string[] {
  const any = names.join('|');
  const code = text.replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '');
  return code.match(new RegExp(`(['"\`])(${any})\\1|\\bbackends\\.(${any})\\b|[{,]\\s*(${any}):`, 'g')) ?? [];
}

describe('outside its folder', () => {
  it('no code knows a backend by its name', () => {
    const paths = sources();
    expect(paths.length).toBeGreaterThan(250);
    const found = paths.flatMap((path) => {
      const names = naming(readFileSync(join(ROOT, path), 'utf8'), backendNames());
      return names.length > 0 ? [`${path}: ${names.join(' ')}`] : [];
    });
    expect(found).toEqual([]);
  });

  it.each([
    ["if (backend.name === 'wgsl') return;", ["'wgsl'"]],
    ['const CLIENTS = { onnx: 1 };', ['{ onnx:']],
    ['await backends.tfjs();', ['backends.tfjs']],
    ["// 'wgsl' is one\nuse('what to write: onnx, graphs');", []],
  ])('%s', (text, found) => {
    expect(naming(text, ['onnx', 'tfjs', 'wgsl'])).toEqual(found);
  });

  it('every backend has the name by which the index has it', async () => {
    const named = await Promise.all(backendNames().map(async (name) => (await findBackend(name)).name));
    expect(named).toEqual(backendNames());
  });
});
