import { randomUUID } from 'node:crypto';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { NotRegular, readRegularText } from '../../backends/regular_file.js';
import { createFile, linkFile, removePath, renamePath, touchFile } from '../disk.js';
import { OutputError } from '../errors.ts';

/** Larger than any lock that is written here. */
const MAX_LOCK_BYTES = 64 * 1024;

export interface Lock {
  /** Absolute path of the lock file. */
  readonly path: string;
  /** Of this run alone. */
  readonly token: string;
  /** Whoever held the lock before may still be alive, for all that can be told: it was silent for too long. */
  readonly tookOverSilent: boolean;
  /** @throws OutputError when somebody took the lock away meanwhile */
  check(): Promise<void>;
  release(): Promise<void>;
}

/** Who holds a lock. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Boot and start time of the process where the system tells them: a pid is reused, this is not. */
  readonly started: string;
  /** Where its pid means something: the namespace of a container, where the system has them. */
  readonly namespace: string;
  readonly token: string;
}

/** How often a holder says that it lives. */
const HEARTBEAT_MS = 15_000;

/**
 * Silence after which a holder that cannot be asked, or does not run, has lost its lock: of another machine or
 * container, or suspended. Many times the longest that one of ours was seen to hold its process (a session of a 3B in
 * fp16 opens for a minute).
 */
export const SILENT_MS = 10 * 60_000;

/** Of the locks that this process holds: one that it could not remove is nobody's. */
const ownTokens = new Set<string>();

/**
 * Takes the lock file `path`, which one process at a time can hold, for as long as a run lasts. A lock whose process is
 * dead is taken over, and one whose holder has been silent. The file appears with its content by `link`, so nobody sees
 * a half-written lock; its time says when the holder lived last.
 * @throws OutputError `locked` when another run holds it
 */
export async function acquireLock(path: string): Promise<Lock> {
  const token = randomUUID();
  const mine = JSON.stringify({
    pid: process.pid,
    host: hostname(),
    started: (await processOf(process.pid))?.started ?? '',
    namespace: await ownNamespace(),
    token,
  } satisfies Holder);
  const draft = `${path}.${process.pid}-${token}`;
  let tookOverSilent = false;
  try {
    await createFile(draft, mine);
    while (!(await create(draft, path, mine))) {
      const held = await readLock(path).catch(ignoreMissing);
      if (held === undefined) continue;
      const state = await stateOf(path, held, (await stat(draft)).mtimeMs);
      if (state.is === 'held') throw lockedError(path, state.holder);
      await removeStale(path, held, `${draft}.stale`);
      tookOverSilent = state.is === 'silent';
    }
  } finally {
    // what is left of it is removed by whoever takes the lock next
    await removePath(draft).catch(() => {});
  }
  ownTokens.add(token);
  await removeDeadDrafts(path).catch(() => {});
  const isMine = async () => (await readLock(path).catch(ignoreMissing)) === mine;
  const beat = setInterval(() => void touch(path, isMine), HEARTBEAT_MS);
  beat.unref();
  return {
    path,
    token,
    tookOverSilent,
    check: async () => {
      if (!(await isMine())) throw lostError(path, await holderOf(path));
    },
    release: async () => {
      clearInterval(beat);
      ownTokens.delete(token);
      if (await isMine()) await removePath(path);
    },
  };
}

/** A missed heartbeat is made up for by the next. */
async function touch(path: string, isMine: () => Promise<boolean>): Promise<void> {
  try {
    if (await isMine()) await touchFile(path);
  } catch {
    // the lock is checked before every step that matters
  }
}

/** What can be told of a lock file. */
type LockState =
  | { readonly is: 'held'; readonly holder: Holder | undefined }
  | { readonly is: 'dead' }
  /** Its holder may be alive, and has not said so for long. */
  | { readonly is: 'silent' };

/**
 * @param held what the file at `path` says
 * @param now in milliseconds, by the clock of the file system
 */
async function stateOf(path: string, held: string, now: number): Promise<LockState> {
  const holder = parseHolder(held);
  const life = holder && (await lifeOf(holder));
  if (life === 'dead' || (life === 'running' && holder?.pid === process.pid && !ownTokens.has(holder.token)))
    return { is: 'dead' };
  if (life === 'running') return { is: 'held', holder };
  const lock = await stat(path).catch(() => undefined);
  return lock && now - lock.mtimeMs > SILENT_MS ? { is: 'silent' } : { is: 'held', holder };
}

/** Whether a run holds the lock, as far as can be told without taking it; and who that is. */
export async function heldBy(path: string): Promise<{ readonly holder: Holder | undefined } | undefined> {
  const held = await readLock(path).catch(() => undefined);
  if (held === undefined) return undefined;
  const state = await stateOf(path, held, Date.now());
  return state.is === 'held' ? { holder: state.holder } : undefined;
}

/** Undefined where there is no lock, or one that says nothing. */
async function holderOf(path: string): Promise<Holder | undefined> {
  const held = await readLock(path).catch(() => undefined);
  return held === undefined ? undefined : parseHolder(held);
}

/** False when the lock exists. File systems without hard links get a plain exclusive file. */
async function create(draft: string, path: string, content: string): Promise<boolean> {
  try {
    await linkFile(draft, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    if (!hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) throw error;
  }
  try {
    await createFile(path, content);
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
    await renamePath(path, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  if ((await readLock(aside)) !== stale) await linkFile(aside, path).catch(() => {});
  await removePath(aside);
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
    const content = await readLock(draft).catch(ignoreMissing);
    // Half a draft names its process in its name only.
    const holder = (content === undefined ? undefined : parseHolder(content)) ?? {
      pid: Number.parseInt(name.slice(prefix.length), 10),
      host: hostname(),
      started: '',
      namespace: await ownNamespace(),
      token: '',
    };
    if ((await lifeOf(holder)) === 'dead') await removePath(draft);
  }
}

/** Of a process of another machine or container nothing is known. */
async function lifeOf(holder: Holder): Promise<'running' | 'stopped' | 'dead' | 'unknown'> {
  const { pid, host, started, namespace } = holder;
  if (host !== hostname() || namespace !== (await ownNamespace()) || !Number.isSafeInteger(pid) || pid <= 0)
    return 'unknown';
  try {
    process.kill(pid, 0);
  } catch (error) {
    return hasCode(error, 'ESRCH') ? 'dead' : 'running';
  }
  const now = await processOf(pid);
  if (!now || started === '') return 'running';
  if (now.started !== started || DEAD_STATES.has(now.state)) return 'dead';
  return STOPPED_STATES.has(now.state) ? 'stopped' : 'running';
}

/** Of /proc/<pid>/stat: a killed process that nobody has waited for, and one that has been suspended. */
const DEAD_STATES: ReadonlySet<string> = new Set(['Z', 'X', 'x']);
const STOPPED_STATES: ReadonlySet<string> = new Set(['T', 't']);

/** The namespace that this process's pid is of, on Linux; elsewhere an empty string. */
async function ownNamespace(): Promise<string> {
  return readlink('/proc/self/ns/pid').catch(() => '');
}

/** State, and boot id with start tick, of a process on Linux; elsewhere nothing is known. */
async function processOf(pid: number): Promise<{ readonly state: string; readonly started: string } | undefined> {
  try {
    const [boot, stat] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    // The name of the command, in parentheses, may hold anything; the start time is the 20th field after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[19] === undefined ? undefined : { state: fields[0]!, started: `${boot.trim()}:${fields[19]}` };
  } catch {
    return undefined;
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, started, namespace = '', token } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== 'number' || ![host, started, namespace, token].every((field) => typeof field === 'string'))
      return undefined;
    return { pid, host: host!, started: started!, namespace, token: token! };
  } catch {
    return undefined;
  }
}

function lockedError(path: string, holder: Holder | undefined): OutputError {
  const who = holder ? ` (process ${holder.pid} on ${holder.host})` : '';
  return new OutputError('locked', `another run is writing the same output${who}`, {
    file: path,
    hint: 'wait for it to end, or choose another --out; pgconv clean says who has what, and removes locks of the dead',
  });
}

/** Of a run that held the lock: it was suspended for long, or somebody removed its lock. */
function lostError(path: string, holder: Holder | undefined): OutputError {
  const who = holder
    ? `process ${holder.pid} on ${holder.host} has taken its output over and is writing it`
    : 'another run has taken its output over, and has ended, or the lock was removed';
  return new OutputError('locked', `this run has lost its lock: ${who}`, {
    file: path,
    hint: 'nothing of this run was published or removed; look at the output, then run again if it is not what you want',
  });
}

/** @throws OutputError where something else lies there, and what the system says */
async function readLock(path: string): Promise<string> {
  return readRegularText(path, MAX_LOCK_BYTES).catch((error: unknown) => {
    if (!(error instanceof NotRegular || error instanceof RangeError)) throw error;
    throw new OutputError('locked', `a lock should lie there: ${error.message}`, { file: path, hint: 'remove it' });
  });
}

function ignoreMissing(error: unknown): undefined {
  if (!hasCode(error, 'ENOENT')) throw error;
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
