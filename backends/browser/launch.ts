import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackendError } from '../error.ts';

export interface LaunchOptions {
  readonly executable: string;
  /** What it opens. */
  readonly url: string;
  /** Whether its WebGPU runs on the CPU, by the SwiftShader that it has. */
  readonly software: boolean;
}

/** A browser that was started. */
export interface StartedBrowser {
  /** When it has ended, with the last that it printed. */
  readonly ended: Promise<string>;
  /** Ends it and all that it started, and removes its profile. */
  close(): Promise<void>;
}

/** Beside what --headless implies: nothing of anybody's profile, and no traffic of the browser's own. */
const FLAGS = [
  '--headless=new',
  // neither containers nor root allow a sandbox, and the page is ours and reaches nothing but this process
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  // a page is told the driver
  '--enable-webgpu-developer-features',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-default-apps',
  '--disable-extensions',
  '--disable-breakpad',
  '--disable-dev-shm-usage',
  '--mute-audio',
  '--password-store=basic',
  '--use-mock-keychain',
  // it ends when this process does, however that ends: its end of the pipe is closed then
  '--remote-debugging-pipe',
];
const ON_THE_GPU = process.platform === 'linux' ? ['--enable-features=Vulkan'] : [];
const ON_THE_CPU = ['--use-webgpu-adapter=swiftshader'];

/** Characters of what a browser printed that an error repeats. */
const LAST_WORDS = 600;
/** Most that the end of a killed process takes to be seen. */
const END_MS = 5000;

/** Browsers that run, for when this process ends: its exit handlers can wait for nothing. */
const running = new Set<() => void>();
let watching = false;

/**
 * Starts a browser of the Chromium family without a window, with a profile of its own, in a process group of its own.
 */
export function launchBrowser({ executable, url, software }: LaunchOptions): StartedBrowser {
  const profile = makeProfile(executable);
  const grouped = process.platform !== 'win32';
  const child = spawn(
    executable,
    [...FLAGS, ...(software ? ON_THE_CPU : ON_THE_GPU), `--user-data-dir=${profile}`, url],
    {
      detached: grouped,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      // flags of the system's wrapper script are for desktops; a home and a temporary folder of its own keep crash
      // reports out of the user's and take along the folders of sockets that a browser leaves when it is ended
      env: {
        ...process.env,
        HOME: profile,
        TMPDIR: profile,
        XDG_CONFIG_HOME: join(profile, 'config'),
        XDG_CACHE_HOME: join(profile, 'cache'),
        CHROMIUM_FLAGS: '',
      },
    },
  );
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-LAST_WORDS)));
  // nothing is said on these, and their end is no error
  for (const stream of child.stdio.slice(3)) stream?.on('error', () => {}).on('data', () => {});
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`${signal ?? `exit code ${code}`}${said && `: ${said.trim()}`}`));
  });
  const end = () => {
    killGroup(child, grouped);
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  running.add(end);
  if (!watching) process.once('exit', () => running.forEach((each) => each()));
  watching = true;
  return {
    ended,
    async close() {
      killGroup(child, grouped);
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([ended, new Promise((resolve) => (timer = setTimeout(resolve, END_MS)))]);
      clearTimeout(timer);
      for (const stream of child.stdio.slice(2)) stream?.destroy();
      running.delete(end);
      end();
    },
  };
}

/** What a browser puts behind the name of its temporary folder, and the longest name that systems give a socket. */
const SOCKET = '/org.chromium.Chromium.XXXXXX/SingletonSocket';
const LONGEST_SOCKET = 103;

/** An empty folder, whose name is short enough for what is put there. @throws BackendError where none can be made */
function makeProfile(executable: string): string {
  const fits = (parent: string) => join(parent, 'pgconv-page-XXXXXX').length + SOCKET.length <= LONGEST_SOCKET;
  const parent = process.platform === 'win32' || fits(tmpdir()) ? tmpdir() : '/tmp';
  try {
    return mkdtempSync(join(parent, 'pgconv-page-'));
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new BackendError(
      'browser-failed',
      `no profile can be made for the browser: ${why}`,
      { file: executable, hint: `free some space in ${parent}, or set TMPDIR to another folder` },
      { cause },
    );
  }
}

/** With all that it started. The leader may be gone, and others of its group there. */
function killGroup(child: ChildProcess, grouped: boolean): void {
  if (child.pid === undefined) return;
  try {
    if (grouped) process.kill(-child.pid, 'SIGKILL');
    else child.kill('SIGKILL');
  } catch {
    // none is left
  }
}
