import type { Backend } from './backend.ts';
import { backends } from './index.ts';

/** The backends that there are, the default first. */
export function backendNames(): readonly [string, ...string[]] {
  const [first, ...others] = Object.keys(backends);
  if (first === undefined) throw new Error('there is no backend');
  return [first, ...others];
}

/** Whether this version has a backend of that name. */
export function isBackendName(name: string): boolean {
  return Object.hasOwn(backends, name);
}

/** @throws RangeError when there is none of that name: `isBackendName` tells before */
export async function findBackend(name: string): Promise<Backend> {
  const load = isBackendName(name) ? backends[name] : undefined;
  if (!load) throw new RangeError(`there is no backend "${name}": there are ${backendNames().join(', ')}`);
  return load();
}

/** The names of those that have something: what to use in place of one that has not. */
export async function backendsThat(have: (backend: Backend) => boolean): Promise<readonly string[]> {
  const all = await Promise.all(backendNames().map(findBackend));
  return all.filter(have).map(({ name }) => name);
}
