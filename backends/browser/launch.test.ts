import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { launchBrowser } from './launch.ts';

/* With a script in place of a browser, which leaves in the temporary folder what Chromium does. */

const usual = process.env['TMPDIR'];
let root: string;
let executable: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pgconv-launch-'));
  executable = join(root, 'browser');
});
afterEach(() => {
  if (usual === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = usual;
  rmSync(root, { recursive: true, force: true });
});

/** A browser with a temporary folder for this process, and what it says of its own once it has made its socket. */
async function started(script: string, parent = join(root, 't')) {
  writeFileSync(executable, `#!/bin/sh\n${script}\n`);
  chmodSync(executable, 0o755);
  mkdirSync(parent, { recursive: true });
  process.env['TMPDIR'] = parent;
  const browser = launchBrowser({ executable, url: 'about:blank', software: false });
  await expect.poll(() => existsSync(join(root, 'said')), { timeout: 20_000 }).toBe(true);
  return { browser, parent, own: readFileSync(join(root, 'said'), 'utf8').trim() };
}

const SOCKET =
  'mkdir "$TMPDIR/org.chromium.Chromium.abcdef" && touch "$TMPDIR/org.chromium.Chromium.abcdef/SingletonSocket"';
const script = (rest: string) =>
  `${SOCKET}\necho "$TMPDIR" > "$(dirname "$0")/new" && mv "$(dirname "$0")/new" "$(dirname "$0")/said"\n${rest}`;

describe.runIf(process.platform !== 'win32')('a browser leaves nothing in the temporary folder', () => {
  test('when it is ended', async () => {
    const { browser, parent, own } = await started(script('sleep 100'));
    expect(own.startsWith(join(parent, 'pgconv-page-'))).toBe(true);
    expect(readdirSync(own)).toContain('org.chromium.Chromium.abcdef');
    await browser.close();
    expect(readdirSync(parent)).toEqual([]);
  });

  test('when it has ended by itself, or was killed', async () => {
    const { browser, parent } = await started(script('kill -KILL $$'));
    expect(await browser.ended).toMatch(/^SIGKILL/);
    await browser.close();
    expect(readdirSync(parent)).toEqual([]);
  });

  test('whose name would be too long for a socket', async () => {
    const { browser, own } = await started(script('sleep 100'), join(root, 'n'.repeat(60)));
    expect(join(own, 'org.chromium.Chromium.XXXXXX/SingletonSocket').length).toBeLessThan(104);
    expect(own.startsWith('/tmp/pgconv-page-')).toBe(true);
    await browser.close();
    expect(existsSync(own)).toBe(false);
  });

  test('where none can be made it is told', () => {
    process.env['TMPDIR'] = join(root, 'nowhere');
    expect(() => launchBrowser({ executable, url: 'about:blank', software: false })).toThrow(
      expect.objectContaining({ code: 'browser-failed', place: expect.objectContaining({ file: executable }) }),
    );
  });
});
