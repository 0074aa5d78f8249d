import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { readRegularText } from '../../backends/regular_file.js';
import { UsageError } from '../errors.ts';
import { isFolder } from './is_folder.ts';

/** A model on the Hugging Face Hub as people name it: `org/name`, or `org/name@revision`. */
export interface HubId {
  readonly repo: string;
  /** A branch, a tag, `refs/pr/1` or a commit; undefined for `main`. */
  readonly revision: string | undefined;
}

/** huggingface_hub's rule for names of repositories; a revision is a name of git. */
const ID = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:@(\w[\w./-]*))?$/;
const COMMIT = /^[0-9a-f]{40}$/;
const PREFIX = 'models--';

/** Undefined for what can only be a path. */
export function parseHubId(given: string): HubId | undefined {
  const [, repo, revision] = ID.exec(given) ?? [];
  if (repo === undefined || /--|\.\./.test(given)) return undefined;
  return { repo, revision };
}

/**
 * A Hub id without its revision and a selector behind it, for names of outputs; what lies on disk under its own name
 * stays what it is.
 */
export function hubName(given: string): string {
  const id = parseHubId(given.replace(/:[\w/]+$/, ''));
  return id === undefined || existsSync(given) ? given : id.repo;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The folder of the Hub's local cache, by the variables that huggingface_hub reads, in its order. */
export function hubCache(env: Environment = process.env): string {
  const set = (name: string) => (env[name] === undefined || env[name] === '' ? undefined : expand(env[name]));
  const home = set('HF_HOME') ?? join(set('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface');
  return resolve(set('HF_HUB_CACHE') ?? set('HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub'));
}

function expand(path: string): string {
  return path.replace(/^~(?=$|\/)/, homedir());
}

/** The command that downloads a model into the cache. */
export function downloadCommand({ repo, revision }: HubId): string {
  return `hf download ${repo}${revision === undefined || revision === 'main' ? '' : ` --revision ${revision}`}`;
}

/**
 * The folder of a model in the Hub's local cache: refs/<revision> names the commit, snapshots/<commit> holds the files.
 * Nothing is downloaded.
 * @throws UsageError when the cache has no such model or revision; its hint is the command that downloads it
 */
export async function findInHubCache(id: HubId, env?: Environment): Promise<string> {
  const cache = hubCache(env);
  const folder = join(cache, PREFIX + id.repo.replace('/', '--'));
  const revision = id.revision ?? 'main';
  const commit = COMMIT.test(revision) ? revision : await commitOf(folder, revision);
  const snapshot = commit === undefined ? undefined : join(folder, 'snapshots', commit);
  if (snapshot !== undefined && (await isFolder(snapshot))) return snapshot;
  const others = await readdir(join(folder, 'refs')).catch(() => []);
  throw new UsageError(
    'not_found',
    (await isFolder(folder))
      ? `the Hub’s cache (${cache}) has ${id.repo}, but not its revision "${revision}"${others.length > 0 ? `; it has ${others.slice(0, 8).join(', ')}` : ''}`
      : `no such file or folder, and no model "${id.repo}" in the Hub’s cache (${cache})`,
    {
      file: resolve(id.repo),
      hint: `check the path, or download the model: ${downloadCommand(id)} (before that, where it is gated, accept its licence on huggingface.co and run hf auth login)`,
    },
  );
}

/** The commit that a branch or tag of a cached model names, when it was downloaded by that name. */
export async function commitOf(folder: string, revision: string): Promise<string | undefined> {
  const text = (await readRegularText(join(folder, 'refs', revision), 4096).catch(() => '')).trim();
  return COMMIT.test(text) ? text : undefined;
}

/** Which model, and which of its commits, a folder of the cache is; undefined for other folders. */
export function hubIdOf(snapshot: string): HubId | undefined {
  const snapshots = dirname(snapshot);
  const repository = basename(dirname(snapshots));
  if (basename(snapshots) !== 'snapshots' || !repository.startsWith(PREFIX)) return undefined;
  return { repo: repository.slice(PREFIX.length).replace('--', '/'), revision: basename(snapshot) };
}

/** What completes the files in a folder of the cache; elsewhere `otherwise`. */
export function downloadHint(folder: string, otherwise: string): string {
  const id = hubIdOf(folder);
  return id === undefined ? otherwise : `complete the download: ${downloadCommand(id)}`;
}

/** Whether a file's real path is that of a file in a Hub cache: models--<org>--<name>/blobs/<sha1 or sha256>. */
export function isHubBlob(path: string): boolean {
  const blobs = dirname(path);
  return (
    basename(blobs) === 'blobs' &&
    basename(dirname(blobs)).startsWith(PREFIX) &&
    /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(basename(path))
  );
}
