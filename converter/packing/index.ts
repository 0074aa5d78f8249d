import { fileURLToPath } from 'node:url';
import { packAll } from './pack.ts';

/* `npm run package -- <folder>`: what `npm publish` takes, from a clone that is built. */

const clone = fileURLToPath(new URL('../../../', import.meta.url));
for (const { name, path, bytes, unpackedBytes, files } of await packAll(clone, process.argv[2] ?? 'packed'))
  console.log(
    `${name}: ${path}, ${(bytes / 1000).toFixed(0)} kB (${(unpackedBytes / 1000).toFixed(0)} kB in ${files.length} files)`,
  );
