import { open } from 'node:fs/promises';

/** A bit of a file. */
export interface Flip {
  readonly path: string;
  readonly at: number;
  readonly bit: number;
}

/** One of the files, whatever its size, and any bit of it: small files hold what steers the large ones. */
export function randomFlip(sizes: ReadonlyMap<string, number>, random: () => number): Flip {
  const below = (count: number) => Math.floor(random() * count);
  const path = [...sizes.keys()][below(sizes.size)]!;
  return { path, at: below(sizes.get(path)!), bit: below(8) };
}

/** Flips it; the second time it is as before. */
export async function flip(file: string, { at, bit }: Flip): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const byte = new Uint8Array(1);
    await handle.read(byte, 0, 1, at);
    byte[0]! ^= 1 << bit;
    await handle.write(byte, 0, 1, at);
  } finally {
    await handle.close();
  }
}
