import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { randomSource } from '../../../ir/random_source.ts';
import type { Client } from './clients.ts';
import { flip, randomFlip, type Flip } from './flip.ts';

/** What a client made of bundles with one bit flipped each. */
export interface FlipReport {
  readonly client: string;
  readonly flips: number;
  /** Files that it reads, in which bits were flipped. */
  readonly files: number;
  /** Refused, as damage, and by the name of the file. */
  readonly named: number;
  /** Loaded as if nothing were. */
  readonly unnoticed: readonly Flip[];
  /** Refused in another way: what it said. */
  readonly otherwise: readonly string[];
}

/** A manifest of which a bit says that it is of a later version is refused as one. */
const CODES = new Set(['damaged', 'newer_version', 'bundle_damaged']);

/** Flips bits of the bundle in `dir` one at a time, and makes each right again. */
export async function measureFlips(client: Client, dir: string, count: number, seed: number): Promise<FlipReport> {
  const random = randomSource(seed);
  const sizes = new Map<string, number>();
  for (const path of await client.reads(dir)) {
    const { size } = await stat(join(dir, path));
    if (size > 0) sizes.set(path, size);
  }
  let named = 0;
  const [unnoticed, otherwise]: [Flip[], string[]] = [[], []];
  for (let i = 0; i < count; i++) {
    const bit = randomFlip(sizes, random);
    await flip(join(dir, bit.path), bit);
    try {
      await client.load(dir);
      unnoticed.push(bit);
    } catch (error) {
      const { code, message } = error as Error & { readonly code?: string };
      if (CODES.has(code ?? '') && message.includes(bit.path)) named++;
      else otherwise.push(`${bit.path}, bit ${bit.bit} of byte ${bit.at}: ${message}`);
    } finally {
      await flip(join(dir, bit.path), bit);
    }
  }
  // a sound bundle loads: what was refused was refused for its bit
  await client.load(dir);
  return { client: client.name, flips: count, files: sizes.size, named, unnoticed, otherwise };
}
