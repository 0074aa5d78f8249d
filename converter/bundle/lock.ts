import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { OutputError } from '../errors.ts';

export interface Lock {
  /** Absolute path of the lock file. */
  readonly path: string;
  /** @throws OutputError when somebody took the lock away meanwhile */
  check(): Promise<void>;
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Boot and start time of the process where the system tells them: a pid is reused, this is not. */
  readonly started: string;
  readonly token: string;
}

/**
 * Takes the lock file `path`, which one process at a time can hold. A lock whose process is dead is taken over.
 * The file appears with its content by `link`, so nobody sees a half-written lock.
 * @throws OutputError `locked` when another run holds it
 */
export async function acquireLock(path: string): Promise<Lock> {
  const token = randomUUID();
  const mine = JSON.stringify({
    pid: process.pid,
    host: hostname(),
    started: await startOf(process.pid),
    token,
  } satisfies Holder);
  const draft = `${path}.${process.pid}-${token}`;
  await writeFile(draft, mine, { flag: 'wx' });
  try {
    while (!(await create(draft, path, mine))) {
      const held = await readFile(path, 'utf8').catch(ignoreMissing);
      if (held === undefined) continue;
      const holder = parseHolder(held);
      if (holder === undefined || (await isAlive(holder))) throw lockedError(path, holder);
      await removeStale(path, held, `${draft}.stale`);
    }
  } finally {
    await rm(draft, { force: true });
  }
  await removeDeadDrafts(path);
  const isMine = async () => (await readFile(path, 'utf8').catch(ignoreMissing)) === mine;
  return {
    path,
    check: async () => {
      if (!(await isMine())) throw lockedError(path, undefined);
    },
    release: async () => {
      if (await isMine()) await rm(path, { force: true });
    },
  };
}

/** False when the lock exists. File systems without hard links get a plain exclusive file. */
async function create(draft: string, path: string, content: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    if (!hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) throw error;
  }
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * Two runs may find the same stale lock, and the slower one must not remove the lock of the faster: it looks at what it
 * moved, and puts it back.
 */
async function removeStale(path: string, stale: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== stale) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

/**
 * A run that was killed while it took the lock leaves its draft, and perhaps the stale lock that it had moved. Drafts
 * of the living stay.
 */
async function removeDeadDrafts(path: string): Promise<void> {
  const prefix = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(prefix)) continue;
    const draft = join(dirname(path), name);
    const content = await readFile(draft, 'utf8').catch(ignoreMissing);
    // Half a draft names its process in its name only.
    const holder = (content === undefined ? undefined : parseHolder(content)) ?? {
      pid: Number.parseInt(name.slice(prefix.length), 10),
      host: hostname(),
      started: '',
      token: '',
    };
    if (!(await isAlive(holder))) await rm(draft, { force: true });
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  // A process of another machine, or of another container, cannot be asked.
  if (holder.host !== hostname() || !Number.isSafeInteger(holder.pid) || holder.pid <= 0) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
  const started = await startOf(holder.pid);
  return started === '' || holder.started === '' || started === holder.started;
}

/** Boot id and start tick of a process, on Linux; elsewhere an empty string. */
async function startOf(pid: number): Promise<string> {
  try {
    const [boot, stat] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    // The name of the command, in parentheses, may hold anything; the start time is the 20th field after it.
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return start === undefined ? '' : `${boot.trim()}:${start}`;
  } catch {
    return '';
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, started, token } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof started !== 'string' || typeof token !== 'string')
      return undefined;
    return { pid, host, started, token };
  } catch {
    return undefined;
  }
}

function lockedError(path: string, holder: Holder | undefined): OutputError {
  const who = holder ? ` (process ${holder.pid} on ${holder.host})` : '';
  return new OutputError('locked', `another run is writing the same output${who}`, {
    file: path,
    hint: 'wait for it to end, or choose another --out; remove this lock file if you are sure that no run is active',
  });
}

function ignoreMissing(error: unknown): undefined {
  if (!hasCode(error, 'ENOENT')) throw error;
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
