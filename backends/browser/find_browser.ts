import { accessSync, constants, statSync } from 'node:fs';
import { BackendError } from '../error.ts';
import { findChromium, INSTALL_CHROMIUM } from '../gpu/chromium.ts';

/**
 * The executable of a browser: the one that is named, else the one that is found.
 * @throws BackendError `runtime-missing` with the line that installs one, `browser-failed` for what cannot be started
 */
export function requireBrowser(named?: string): string {
  if (named === undefined) {
    const found = findChromium();
    if ('value' in found) return found.value;
    throw new BackendError('runtime-missing', 'no Chromium was found on this machine', {
      hint: `${INSTALL_CHROMIUM}; or name a browser with --browser`,
    });
  }
  try {
    if (!statSync(named).isFile()) throw new Error('it is no file');
    accessSync(named, constants.X_OK);
    return named;
  } catch (cause) {
    const reason = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
    throw new BackendError(
      'browser-failed',
      `the browser cannot be started: ${reason}`,
      { file: named, hint: 'name the executable of Chromium, Chrome, Edge or Brave with --browser' },
      { cause },
    );
  }
}
