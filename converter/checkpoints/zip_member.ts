import { pipeline, Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import { BadInputError, PgconvError } from '../errors.ts';
import { CrcCoverage } from './crc32.ts';
import type { InputFile } from '../inputs/input_file.ts';
import type { ScratchFile } from '../scratch_file.ts';
import { arrayName, type ZipMember } from './zip.ts';

/** A member's uncompressed bytes, by range. */
export interface MemberBytes {
  /** The first bytes, as many as there are up to `length`: cheap, for headers. */
  head(length: number): Promise<Uint8Array>;
  chunks(begin: number, end: number, maxBytes?: number): AsyncIterable<Uint8Array>;
  /** Bytes from `begin` on into memory that is there; absent where they do not lie in a file as they are. */
  readInto?(out: Uint8Array, begin: number): Promise<void>;
  /** Reads what is missing for the CRC, if `chunks` was ever called. @throws BadInputError when it does not match. */
  verify(): Promise<void>;
}

/** Bytes of a member by range: as they lie where it is stored, else inflated into a scratch file first. */
export function memberBytes(file: InputFile, member: ZipMember, scratch: ScratchFile): MemberBytes {
  return member.method === 'stored' ? new StoredMember(file, member) : new DeflatedMember(file, member, scratch);
}

/** Deflate packs at most 258 bytes into two bits. */
const MAX_DEFLATE_RATIO = 1032;

function damaged(
  file: InputFile,
  member: ZipMember,
  message: string,
  code = 'bad_zip',
  cause?: unknown,
): BadInputError {
  const place = {
    file: file.path,
    tensor: arrayName(member.name),
    offset: member.dataOffset,
    hint: 'download the file again: it is damaged',
  };
  return new BadInputError(code, message, place, { cause });
}

const hex = (n: number): string => n.toString(16).padStart(8, '0');

function crcMismatch(file: InputFile, member: ZipMember, crc: number): BadInputError {
  return damaged(
    file,
    member,
    `CRC-32 mismatch: the archive says ${hex(member.crc)}, the bytes give ${hex(crc)}`,
    'crc_mismatch',
  );
}

/** Read in place. The CRC is taken of what passes by, so that nothing is read twice for it. */
class StoredMember implements MemberBytes {
  readonly #file: InputFile;
  readonly #member: ZipMember;
  readonly #coverage: CrcCoverage;
  #used = false;

  constructor(file: InputFile, member: ZipMember) {
    this.#file = file;
    this.#member = member;
    this.#coverage = new CrcCoverage(member.size);
  }

  async head(length: number): Promise<Uint8Array> {
    const { dataOffset, size } = this.#member;
    const bytes = await this.#file.read(dataOffset, dataOffset + Math.min(length, size));
    this.#record(0, bytes);
    return bytes;
  }

  async *chunks(begin: number, end: number, maxBytes?: number): AsyncGenerator<Uint8Array> {
    this.#used = true;
    const { dataOffset } = this.#member;
    let at = begin;
    for await (const chunk of this.#file.chunks(dataOffset + begin, dataOffset + end, maxBytes)) {
      this.#record(at, chunk);
      at += chunk.byteLength;
      yield chunk;
    }
  }

  async readInto(out: Uint8Array, begin: number): Promise<void> {
    this.#used = true;
    await this.#file.readInto(out, this.#member.dataOffset + begin);
    this.#record(begin, out);
  }

  async verify(): Promise<void> {
    if (!this.#used) return;
    for (const { begin, end } of this.#coverage.missing()) for await (const _ of this.chunks(begin, end));
    this.#check();
  }

  #record(begin: number, bytes: Uint8Array): void {
    this.#coverage.add(begin, bytes);
    this.#check();
  }

  #check(): void {
    const { crc } = this.#coverage;
    if (crc !== undefined && crc !== this.#member.crc) throw crcMismatch(this.#file, this.#member, crc);
  }
}

/** Deflate has no random access: inflated once into the scratch file, checked on the way, and read from there. */
class DeflatedMember implements MemberBytes {
  readonly #file: InputFile;
  readonly #member: ZipMember;
  readonly #scratch: ScratchFile;
  #inflating: Promise<number> | undefined;

  constructor(file: InputFile, member: ZipMember, scratch: ScratchFile) {
    const { size, compressedSize } = member;
    if (size > compressedSize * MAX_DEFLATE_RATIO)
      throw damaged(file, member, `${compressedSize} bytes cannot inflate to the ${size} that the archive states`);
    this.#file = file;
    this.#member = member;
    this.#scratch = scratch;
  }

  async head(length: number): Promise<Uint8Array> {
    const wanted = Math.min(length, this.#member.size);
    const pieces: Uint8Array[] = [];
    let have = 0;
    if (wanted > 0)
      for await (const piece of this.#inflated(4096)) {
        pieces.push(piece);
        have += piece.byteLength;
        if (have >= wanted) break;
      }
    if (have < wanted) throw this.#tooShort(have);
    return new Uint8Array(Buffer.concat(pieces).subarray(0, wanted));
  }

  async *chunks(begin: number, end: number, maxBytes?: number): AsyncGenerator<Uint8Array> {
    const offset = await (this.#inflating ??= this.#inflate());
    yield* this.#scratch.chunks(offset + begin, offset + end, maxBytes);
  }

  async verify(): Promise<void> {
    await this.#inflating;
  }

  async #inflate(): Promise<number> {
    const { size, crc: expected } = this.#member;
    const offset = this.#scratch.reserve(size);
    let at = 0;
    let crc = 0;
    for await (const piece of this.#inflated(1 << 20)) {
      if (at + piece.byteLength > size)
        throw damaged(
          this.#file,
          this.#member,
          `the data inflates to more than the ${size} bytes that the archive states`,
        );
      crc = crc32(piece, crc);
      await this.#scratch.write(piece, offset + at);
      at += piece.byteLength;
    }
    if (at < size) throw this.#tooShort(at);
    if (crc !== expected) throw crcMismatch(this.#file, this.#member, crc);
    return offset;
  }

  async *#inflated(chunkBytes: number): AsyncGenerator<Uint8Array> {
    const { dataOffset, compressedSize } = this.#member;
    const inflate = createInflateRaw({ chunkSize: chunkBytes });
    // A failure on either side destroys both; it comes out of the loop below.
    pipeline(Readable.from(this.#file.chunks(dataOffset, dataOffset + compressedSize, chunkBytes)), inflate, () => {});
    try {
      for await (const piece of inflate) yield piece as Uint8Array;
    } catch (error) {
      if (error instanceof PgconvError) throw error;
      throw damaged(
        this.#file,
        this.#member,
        `the compressed data is damaged: ${(error as Error).message}`,
        'bad_zip',
        error,
      );
    }
    if (inflate.bytesWritten !== compressedSize)
      throw damaged(
        this.#file,
        this.#member,
        `${compressedSize - inflate.bytesWritten} bytes follow the compressed data`,
      );
  }

  #tooShort(have: number): BadInputError {
    return damaged(
      this.#file,
      this.#member,
      `the data inflates to ${have} of the ${this.#member.size} bytes that the archive states`,
    );
  }
}
