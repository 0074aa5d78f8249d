import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tally } from './reporter.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const FILES: Readonly<Record<string, string>> = {
  'good.test.ts': `import { expect, it } from 'vitest'; it('passes', () => { expect(1).toBe(1); }); it('passes too', () => { expect(2).toBe(2); });`,
  'bad.test.ts': `import { expect, it } from 'vitest'; it('fails', () => { expect(1).toBe(2); });`,
  'skipped.test.ts': `import { it } from 'vitest'; it('lacks a thing', (context) => context.skip('there is no thing')); it.skip('left out', () => {}); it.todo('later');`,
  'broken.test.ts': `import { it } from 'vitest'; throw new Error('does not load'); it('never seen', () => {});`,
  'setup.test.ts': `import { beforeAll, describe, it } from 'vitest'; describe('group', () => { beforeAll(() => { throw new Error('no setup'); }); it('waits', () => {}); });`,
  'vitest.config.ts': `import { TallyReporter } from ${JSON.stringify(join(ROOT, 'verify/environment/reporter.ts'))}; export default { test: { reporters: [new TallyReporter()] } };`,
};

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pgconv-reporter-'));
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(dir, name), text);
});
afterAll(() => rmSync(dir, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly lines: readonly string[];
  readonly tally: Tally;
}

/** Runs the named files as a user's shell (`ci` false) or as CI does. */
async function run(ci: boolean, ...files: readonly string[]): Promise<Outcome> {
  const path = join(dir, `tally-${ci}-${files.join('-')}.json`);
  const env = { ...process.env, CI: ci ? 'true' : '', PGCONV_TEST_TALLY: path, NO_COLOR: '1' };
  const child = spawn(
    process.execPath,
    [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', dir, ...files],
    { cwd: dir, env, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, lines: text.trimEnd().split('\n'), tally: JSON.parse(readFileSync(path, 'utf8')) as Tally };
}

describe('the tally of a test run', () => {
  it('ends in the counts and succeeds when every test passed', async () => {
    const { code, lines, tally } = await run(true, 'good');
    expect([code, lines.at(-1)]).toEqual([0, '2 passed, 0 failed']);
    expect(tally).toEqual({ passed: 2, failed: 0, failures: [], notRun: [] });
  });

  it('never counts what did not run as passed, and says why', async () => {
    const { code, lines, tally } = await run(false, 'good', 'skipped');
    expect([code, lines.at(-1)]).toEqual([0, '2 passed, 0 failed']);
    expect(tally.notRun).toEqual([
      { test: 'skipped.test.ts: lacks a thing', reason: 'there is no thing' },
      { test: 'skipped.test.ts: left out', reason: 'it is marked skip' },
      { test: 'skipped.test.ts: later', reason: 'it is marked todo' },
    ]);
    expect(lines).toContain('Not run: 3');
    expect(lines).toContain('    there is no thing');
  });

  it('fails under CI when a test did not run', async () => {
    const { code, lines } = await run(true, 'good', 'skipped');
    expect([code, lines.at(-1)]).toEqual([1, '2 passed, 3 failed']);
  });

  it('fails when no test passed', async () => {
    const { code, lines } = await run(false, 'skipped');
    expect([code, lines.at(-1)]).toEqual([1, '0 passed, 0 failed']);
  });

  it('counts failures, files that do not load and setups that throw', async () => {
    const { code, lines, tally } = await run(false, 'good', 'bad', 'broken', 'setup');
    expect([code, lines.at(-1)]).toEqual([1, '2 passed, 3 failed']);
    expect(tally.notRun).toEqual([{ test: 'setup.test.ts: group > waits', reason: 'its setup failed' }]);
    expect(tally.failures.toSorted((a, b) => a.test.localeCompare(b.test))).toEqual([
      { test: 'bad.test.ts: fails', reason: 'expected 1 to be 2 // Object.is equality' },
      { test: 'broken.test.ts', reason: 'does not load' },
      { test: 'setup.test.ts: group', reason: 'no setup' },
    ]);
    expect(lines.slice(-8)).toContain('    expected 1 to be 2 // Object.is equality');
  });

  it('fails when there is no test at all', async () => {
    const { code, lines } = await run(false, 'none-of-this-name');
    expect([code, lines.at(-1)]).toEqual([1, '0 passed, 0 failed']);
  });
});
