import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readBytes } from '../../ir/tensor.ts';
import { openCheckpoint } from './index.ts';
import { makeNpy, makeZip, npyLiteral } from './testing/make_zip.ts';
import { tempFolder } from './testing/temp_folder.ts';

it('deflated members of several pieces of inflated data are what was deflated, each in its own place', async () => {
  const counts = { a: 800_000, b: 3, c: 600_001 };
  const bytes = Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [
      name,
      new Uint8Array(Float32Array.from({ length: count }, (_, i) => i % 997).buffer),
    ]),
  );
  const members = Object.entries(counts).map(([name, count]) => ({
    name: `params/${name}.npy`,
    data: makeNpy(npyLiteral('<f4', `(${count},)`), bytes[name]!),
    deflate: true,
  }));
  const opened = await openCheckpoint(join(tempFolder({ 'x.npz': makeZip(members) }), 'x.npz'));
  try {
    // b first: members are inflated when they are first read
    for (const name of ['b', 'a', 'c', 'a'])
      expect(Buffer.from(await readBytes(opened.tensors.get(`params/${name}`)!)).equals(bytes[name]!), name).toBe(true);
  } finally {
    await opened.close();
  }
});
