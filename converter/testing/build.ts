import { execFile } from 'node:child_process';
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The folder of a fresh build, inside the repository so that packages are found: for tests that start processes, which
 * Node 20 cannot run from the sources.
 */
export function testBuild(): string {
  const dir = join(root, 'tmp', `test-build-${process.pid}`);
  beforeAll(async () => {
    // A type error elsewhere is not this test's business, and tsc writes its output all the same.
    await promisify(execFile)(
      process.execPath,
      [
        join(root, 'node_modules/typescript/bin/tsc'),
        '-p',
        join(root, 'tsconfig.build.json'),
        '--outDir',
        dir,
        '--sourceMap',
        'false',
        '--declaration',
        'false',
      ],
      {
        cwd: root,
      },
    ).catch((error: Error & { stdout?: string }) => {
      if (!error.stdout?.includes('error TS')) throw error;
    });
    await copyFile(join(root, 'package.json'), join(dir, 'package.json'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  return dir;
}
