import { crc32, deflateRawSync } from 'node:zlib';

/** A zip member with whatever lies a test needs. */
export interface MemberSpec {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflate?: boolean;
  /** Takes the place of the deflated bytes. */
  readonly compressed?: Uint8Array;
  /** What both headers state instead of the truth. */
  readonly stated?: Partial<Stated>;
  /** What the local header alone states. */
  readonly local?: Partial<Stated>;
  /** As numpy writes: 0xFFFFFFFF and a zip64 extra field in the local header only. */
  readonly localZip64?: boolean;
  /** 0xFFFFFFFF in the directory, with or without the extra field that it needs. */
  readonly centralZip64?: 'with extra' | 'without extra';
  readonly comment?: string;
}

interface Stated {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly size: number;
  readonly compressedSize: number;
  readonly localOffset: number;
}

const FULL = 0xffffffff;
const extra64 = (...values: readonly number[]): Buffer => {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, i) => field.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
  return field;
};

/** The parts of a zip archive, so that tests can place them in sparse files. */
export function zipLocalHeader(stated: Omit<Stated, 'localOffset'>, zip64: boolean): Buffer {
  const name = Buffer.from(stated.name);
  const extra = zip64 ? extra64(stated.size, stated.compressedSize) : Buffer.alloc(0);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(45, 4);
  header.writeUInt16LE(stated.flags, 6);
  header.writeUInt16LE(stated.method, 8);
  header.writeUInt32LE(stated.crc, 14);
  header.writeUInt32LE(zip64 ? FULL : stated.compressedSize, 18);
  header.writeUInt32LE(zip64 ? FULL : stated.size, 22);
  header.writeUInt16LE(name.byteLength, 26);
  header.writeUInt16LE(extra.byteLength, 28);
  return Buffer.concat([header, name, extra]);
}

export function zipCentralHeader(stated: Stated, zip64: MemberSpec['centralZip64'], comment = ''): Buffer {
  const name = Buffer.from(stated.name);
  const extra =
    zip64 === 'with extra' ? extra64(stated.size, stated.compressedSize, stated.localOffset) : Buffer.alloc(0);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(45, 4);
  header.writeUInt16LE(45, 6);
  header.writeUInt16LE(stated.flags, 8);
  header.writeUInt16LE(stated.method, 10);
  header.writeUInt32LE(stated.crc, 16);
  header.writeUInt32LE(zip64 ? FULL : stated.compressedSize, 20);
  header.writeUInt32LE(zip64 ? FULL : stated.size, 24);
  header.writeUInt16LE(name.byteLength, 28);
  header.writeUInt16LE(extra.byteLength, 30);
  header.writeUInt16LE(comment.length, 32);
  header.writeUInt32LE(zip64 ? FULL : stated.localOffset, 42);
  return Buffer.concat([header, name, extra, Buffer.from(comment)]);
}

export function zipEnd(count: number, size: number, offset: number, zip64 = false, comment = ''): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(zip64 ? 0xffff : count, 8);
  end.writeUInt16LE(zip64 ? 0xffff : count, 10);
  end.writeUInt32LE(zip64 ? FULL : size, 12);
  end.writeUInt32LE(zip64 ? FULL : offset, 16);
  end.writeUInt16LE(comment.length, 20);
  const parts: Buffer[] = [end, Buffer.from(comment)];
  if (zip64) {
    const record = Buffer.alloc(56);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeBigUInt64LE(BigInt(count), 24);
    record.writeBigUInt64LE(BigInt(count), 32);
    record.writeBigUInt64LE(BigInt(size), 40);
    record.writeBigUInt64LE(BigInt(offset), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(offset + size), 8);
    locator.writeUInt32LE(1, 16);
    parts.unshift(record, locator);
  }
  return Buffer.concat(parts);
}

export function makeZip(
  members: readonly MemberSpec[],
  options: { zip64?: boolean; count?: number; comment?: string } = {},
): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const member of members) {
    const bytes = Buffer.from(member.compressed ?? (member.deflate ? deflateRawSync(member.data) : member.data));
    const truth = {
      name: member.name,
      flags: 0,
      method: member.deflate ? 8 : 0,
      crc: crc32(member.data),
      size: member.data.byteLength,
      compressedSize: bytes.byteLength,
      localOffset: at,
    };
    const stated = { ...truth, ...member.stated };
    const local = zipLocalHeader({ ...stated, ...member.local }, member.localZip64 ?? false);
    central.push(zipCentralHeader(stated, member.centralZip64, member.comment));
    parts.push(local, bytes);
    at += local.byteLength + bytes.byteLength;
  }
  const directory = Buffer.concat(central);
  return Buffer.concat([
    ...parts,
    directory,
    zipEnd(options.count ?? members.length, directory.byteLength, at, options.zip64, options.comment),
  ]);
}

/** A .npy array: `header` is the literal, padded as numpy pads it. */
export function makeNpy(header: string, data: Uint8Array, version: 1 | 2 | 3 = 1, pad = 64): Buffer {
  const preamble = version === 1 ? 10 : 12;
  const literal = Buffer.from(header);
  const padding = pad - ((preamble + literal.byteLength + 1) % pad);
  const length = literal.byteLength + padding + 1;
  const start = Buffer.alloc(preamble);
  start.write('\u0093NUMPY', 'latin1');
  start[6] = version;
  if (version === 1) start.writeUInt16LE(length, 8);
  else start.writeUInt32LE(length, 8);
  return Buffer.concat([start, literal, Buffer.alloc(padding, ' '), Buffer.from('\n'), data]);
}

export function npyLiteral(descr: string, shape: string, fortran = 'False'): string {
  return `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;
}
