import { crc32 } from 'node:zlib';

/** Bytes of a block, for each of which there is a CRC-32. The thread that hashes files goes by the same. */
export const BLOCK_BYTES = 65_536;
/** Blocks whose sums are kept together: files may be sparse, and be read in few places. */
const PAGE_BLOCKS = 4096;
/** Read again at a time. */
const RUN_BLOCKS = 64;

/** Bytes [begin, end) of a file, which lie in one block. */
interface Piece {
  readonly begin: number;
  readonly end: number;
  readonly crc: number;
}

interface Page {
  readonly sums: Uint32Array;
  readonly known: Uint8Array;
}

/** What lies at an offset is not what was read of it. */
export type Difference = { readonly offset: number };

/**
 * CRC-32 of all that was read of a file, by blocks of 64 KiB, in whatever pieces and order: by them what was read is
 * compared with what the file was hashed as, and with what it holds in the end. Against accidents: who forges bytes of
 * the same sum while they are read is not noticed by it.
 */
export class ReadSums {
  readonly #length: number;
  readonly #pages = new Map<number, Page>();
  /** Of blocks that no read took whole. */
  readonly #pieces = new Map<number, Piece[]>();

  /** @param length bytes of the file */
  constructor(length: number) {
    this.#length = length;
  }

  /** Takes in what was read at `begin`. @returns where it is something else than was read before */
  add(begin: number, bytes: Uint8Array): Difference | undefined {
    const end = begin + bytes.byteLength;
    for (let at = begin; at < end;) {
      const block = Math.floor(at / BLOCK_BYTES);
      const until = Math.min(end, (block + 1) * BLOCK_BYTES);
      if (!this.#take(block, at, bytes.subarray(at - begin, until - begin))) return { offset: at };
      at = until;
    }
    return undefined;
  }

  /**
   * Compares all that was read with what the file was hashed as, and, where a block was not read whole or no hash is
   * known, with what `read` finds there.
   * @param hashed CRC-32 of every block, as it was hashed
   */
  async firstDifference(
    read: (begin: number, end: number) => Promise<Uint8Array>,
    hashed?: Uint32Array,
  ): Promise<Difference | undefined> {
    let again: number[] = [];
    for (const block of this.#blocks()) {
      const sum = this.#sumOf(block);
      if (hashed && sum !== undefined && sum !== hashed[block]) return { offset: block * BLOCK_BYTES };
      if (hashed && !this.#pieces.has(block)) continue;
      const isNext = again.length > 0 && again.at(-1) === block - 1 && again.length < RUN_BLOCKS;
      if (!isNext) {
        const found = await this.#compare(again, read, hashed);
        if (found) return found;
        again = [];
      }
      again.push(block);
    }
    return this.#compare(again, read, hashed);
  }

  async #compare(
    blocks: readonly number[],
    read: (begin: number, end: number) => Promise<Uint8Array>,
    hashed: Uint32Array | undefined,
  ): Promise<Difference | undefined> {
    if (blocks.length === 0) return undefined;
    const first = blocks[0]! * BLOCK_BYTES;
    const bytes = await read(first, this.#endOf(blocks.at(-1)!));
    const sumOf = (begin: number, end: number) => crc32(bytes.subarray(begin - first, end - first));
    for (const block of blocks) {
      const begin = block * BLOCK_BYTES;
      const sum = sumOf(begin, this.#endOf(block));
      if (hashed && sum !== hashed[block]) return { offset: begin };
      if (sum !== (this.#sumOf(block) ?? sum)) return { offset: begin };
      for (const piece of this.#pieces.get(block) ?? [])
        if (sumOf(piece.begin, piece.end) !== piece.crc) return { offset: piece.begin };
    }
    return undefined;
  }

  /** @returns whether it agrees with what is known */
  #take(block: number, begin: number, bytes: Uint8Array): boolean {
    const whole = { begin: block * BLOCK_BYTES, end: this.#endOf(block) };
    const pieces = this.#pieces.get(block) ?? [];
    const before = begin === whole.begin ? undefined : pieces.find(({ end }) => end === begin);
    const piece: Piece = {
      begin: before?.begin ?? begin,
      end: begin + bytes.byteLength,
      crc: crc32(bytes, before?.crc ?? 0),
    };
    if (piece.begin === whole.begin && piece.end === whole.end) {
      const known = this.#sumOf(block);
      if (known !== undefined) return known === piece.crc;
      const { sums, known: flags } = this.#pageOf(block);
      sums[block % PAGE_BLOCKS] = piece.crc;
      flags[block % PAGE_BLOCKS] = 1;
      if (before) this.#keep(block, pieces, before);
      return true;
    }
    const same = pieces.find((other) => other.begin === piece.begin && other.end === piece.end);
    if (same) return same.crc === piece.crc;
    this.#keep(block, pieces, before, piece);
    return true;
  }

  /** In the place of a piece another that goes on with it, or none. */
  #keep(block: number, pieces: readonly Piece[], old: Piece | undefined, piece?: Piece): void {
    const kept = [...pieces.filter((other) => other !== old), ...(piece ? [piece] : [])];
    if (kept.length > 0) this.#pieces.set(block, kept);
    else this.#pieces.delete(block);
  }

  #sumOf(block: number): number | undefined {
    const page = this.#pages.get(Math.floor(block / PAGE_BLOCKS));
    const at = block % PAGE_BLOCKS;
    return page && page.known[at] === 1 ? page.sums[at] : undefined;
  }

  #pageOf(block: number): Page {
    const number = Math.floor(block / PAGE_BLOCKS);
    const page = this.#pages.get(number) ?? {
      sums: new Uint32Array(PAGE_BLOCKS),
      known: new Uint8Array(PAGE_BLOCKS),
    };
    this.#pages.set(number, page);
    return page;
  }

  #endOf(block: number): number {
    return Math.min(this.#length, (block + 1) * BLOCK_BYTES);
  }

  /** Of which anything was read, in order. */
  #blocks(): readonly number[] {
    const blocks = new Set(this.#pieces.keys());
    for (const [number, { known }] of this.#pages)
      for (let at = 0; at < PAGE_BLOCKS; at++) if (known[at] === 1) blocks.add(number * PAGE_BLOCKS + at);
    return [...blocks].sort((a, b) => a - b);
  }
}
