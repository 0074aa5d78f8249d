import { existsSync, readFileSync } from 'node:fs';

/** The package's version: package.json lies one folder up from the sources, two from dist. */
function readVersion(): string {
  const file = ['../package.json', '../../package.json']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url));
  if (!file) throw new Error('pgconv’s package.json is missing: install the package again');
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}

export const TOOL = { name: 'pgconv', version: readVersion() } as const;
