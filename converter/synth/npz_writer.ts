import { crc32 } from 'node:zlib';
import type { TensorData } from '../../ir/tensor.ts';
import { openFile, type DiskFile } from '../disk.js';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const FORCED = 0xffffffff;
/** 1980-01-01: the zip epoch, so that equal arrays give equal files. */
const DOS_DATE = 0x21;
const DESCR: Readonly<Record<string, string>> = { f32: '<f4', f16: '<f2', bf16: '<V2' };

interface Member {
  readonly name: Buffer;
  readonly offset: number;
  readonly size: number;
  readonly crc: number;
}

/**
 * Writes arrays as `numpy.savez` does (spec C): stored members whose local headers force zip64, bfloat16 as `<V2`.
 * Streams: a member's checksum is patched in behind its bytes. `onBytes` hears of progress.
 */
export async function writeNpz(
  path: string,
  entries: Iterable<{ readonly name: string; readonly data: TensorData }>,
  onBytes?: (bytes: number) => void,
): Promise<void> {
  const file = await openFile(path, 'wx');
  try {
    const members: Member[] = [];
    let at = 0;
    for (const { name, data } of entries) {
      const member = await writeMember(file, at, name, data, onBytes);
      members.push(member);
      at = member.offset + localHeader(member.name, member.size, 0).byteLength + member.size;
    }
    const directory = Buffer.concat(members.map(centralHeader));
    await file.write(Buffer.concat([directory, endRecords(members.length, directory.byteLength, at)]), at);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeMember(
  file: DiskFile,
  offset: number,
  key: string,
  data: TensorData,
  onBytes?: (bytes: number) => void,
): Promise<Member> {
  const name = Buffer.from(`${key}.npy`);
  const header = npyHeader(data);
  const size = header.byteLength + data.byteLength;
  let at = offset + localHeader(name, size, 0).byteLength;
  let crc = crc32(header);
  await file.write(header, at);
  at += header.byteLength;
  for await (const chunk of data.chunks()) {
    crc = crc32(chunk, crc);
    await file.write(chunk, at);
    at += chunk.byteLength;
    onBytes?.(chunk.byteLength);
  }
  await file.write(localHeader(name, size, crc), offset);
  return { name, offset, size, crc };
}

/** NPY format 1.0: padded with spaces so that the payload starts at a multiple of 64. */
function npyHeader({ dtype, shape }: TensorData): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${DESCR[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const preamble = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, length & 0xff, length >> 8]);
  return Buffer.concat([preamble, Buffer.from(`${text.padEnd(length - 1)}\n`, 'latin1')]);
}

function localHeader(name: Buffer, size: number, crc: number): Buffer {
  const header = Buffer.alloc(50);
  header.writeUInt32LE(LOCAL, 0);
  header.writeUInt16LE(45, 4);
  header.writeUInt16LE(DOS_DATE, 12);
  header.writeUInt32LE(crc, 14);
  header.writeUInt32LE(FORCED, 18);
  header.writeUInt32LE(FORCED, 22);
  header.writeUInt16LE(name.byteLength, 26);
  header.writeUInt16LE(20, 28);
  writeZip64(header, 30, [size, size]);
  return Buffer.concat([header.subarray(0, 30), name, header.subarray(30)]);
}

/** Sizes and offset move into a zip64 field only when they do not fit, as Python's zipfile does. */
function centralHeader({ name, offset, size, crc }: Member): Buffer {
  const wide = [...(size >= FORCED ? [size, size] : []), ...(offset >= FORCED ? [offset] : [])];
  const extra = Buffer.alloc(wide.length === 0 ? 0 : 4 + 8 * wide.length);
  if (wide.length > 0) writeZip64(extra, 0, wide);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(CENTRAL, 0);
  header.writeUInt16LE(45, 4);
  header.writeUInt16LE(45, 6);
  header.writeUInt16LE(DOS_DATE, 14);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(Math.min(size, FORCED), 20);
  header.writeUInt32LE(Math.min(size, FORCED), 24);
  header.writeUInt16LE(name.byteLength, 28);
  header.writeUInt16LE(extra.byteLength, 30);
  header.writeUInt32LE(Math.min(offset, FORCED), 42);
  return Buffer.concat([header, name, extra]);
}

function writeZip64(target: Buffer, at: number, values: readonly number[]): void {
  target.writeUInt16LE(1, at);
  target.writeUInt16LE(8 * values.length, at + 2);
  values.forEach((value, i) => target.writeBigUInt64LE(BigInt(value), at + 4 + 8 * i));
}

/** The zip64 end record, its locator and the classic end record. */
function endRecords(count: number, directorySize: number, directoryOffset: number): Buffer {
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeUInt16LE(45, 12);
  end.writeUInt16LE(45, 14);
  end.writeBigUInt64LE(BigInt(count), 24);
  end.writeBigUInt64LE(BigInt(count), 32);
  end.writeBigUInt64LE(BigInt(directorySize), 40);
  end.writeBigUInt64LE(BigInt(directoryOffset), 48);
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(directoryOffset + directorySize), 64);
  end.writeUInt32LE(1, 72);
  end.writeUInt32LE(0x06054b50, 76);
  end.writeUInt16LE(Math.min(count, 0xffff), 84);
  end.writeUInt16LE(Math.min(count, 0xffff), 86);
  end.writeUInt32LE(Math.min(directorySize, FORCED), 88);
  end.writeUInt32LE(Math.min(directoryOffset, FORCED), 92);
  return end;
}
