import { BadInputError } from '../errors.ts';
import { liesWithin } from './bounds.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { MAX_TENSORS } from './safetensors_header.ts';
import { shorten } from './strict_json.ts';

/** One member, as the central directory states it; the local header agreed. */
export interface ZipMember {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  /** Offset in the file of the first (compressed) byte. */
  readonly dataOffset: number;
}

type Entry = Omit<ZipMember, 'dataOffset'> & {
  readonly localOffset: number;
  readonly at: number;
  readonly rawName: Uint8Array;
};

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const ZIP64_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;
const ZIP64_EXTRA = 0x0001;
const FULL16 = 0xffff;
const FULL32 = 0xffffffff;
const MAX_DIRECTORY_BYTES = 16_000_000;

const ENCRYPTED = (1 << 0) | (1 << 6) | (1 << 13);
const SIZES_FOLLOW = 1 << 3;

/**
 * Reads the directory of a zip archive by range. Sizes come from the central directory (numpy leaves 0xFFFFFFFF in
 * local headers); local headers must agree with what they do state.
 * @throws BadInputError for encryption, methods other than stored and deflate, duplicates, unsafe names, overlaps and
 * contradictions.
 */
export async function readZip(file: InputFile): Promise<readonly ZipMember[]> {
  const fail: Fail = (
    message,
    offset,
    { name, hint = 'download the file again, or write it again with numpy.savez' } = {},
  ) => {
    throw new BadInputError('bad_zip', message, {
      file: file.path,
      offset,
      hint,
      ...(name !== undefined && { tensor: arrayName(name) }),
    });
  };
  const directory = await findDirectory(file, fail);
  if (directory.size > MAX_DIRECTORY_BYTES)
    fail(
      `the central directory claims ${directory.size} bytes; at most ${MAX_DIRECTORY_BYTES} are read`,
      directory.offset,
    );
  if (directory.count > MAX_TENSORS)
    fail(`the archive claims ${directory.count} members; at most ${MAX_TENSORS} are read`, directory.offset);
  const entries = parseDirectory(await file.read(directory.offset, directory.offset + directory.size), directory, fail);
  const members: ZipMember[] = [];
  for (const entry of entries) members.push(await locate(file, entry, directory.offset, fail));
  checkOverlap(entries, members, fail);
  return members;
}

/** The name that numpy gives the array of a member. */
export function arrayName(member: string): string {
  return member.replace(/\.npy$/, '');
}

type Fail = (message: string, offset: number, about?: { readonly name?: string; readonly hint?: string }) => never;

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

/** The end record must close the file, and the directory must end where it (or its zip64 form) begins. */
async function findDirectory(file: InputFile, fail: Fail): Promise<Directory> {
  const tailOffset = Math.max(0, file.byteLength - 22 - FULL16);
  const tail = viewOf(await file.read(tailOffset, file.byteLength));
  let at = tail.byteLength - 22;
  let other: number | undefined;
  for (; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END) continue;
    if (at + 22 + tail.getUint16(at + 20, true) === tail.byteLength) break;
    other ??= at;
  }
  if (at < 0) {
    if (other === undefined)
      return fail('truncated: expected an end of central directory, found none', file.byteLength, {
        hint: 'download the file again: it is incomplete',
      });
    const trailing = tail.byteLength - other - 22 - tail.getUint16(other + 20, true);
    return trailing > 0
      ? fail(`${trailing} trailing bytes follow the archive`, file.byteLength - trailing)
      : fail(`truncated: the archive's comment lacks ${-trailing} bytes`, file.byteLength, {
          hint: 'download the file again: it is incomplete',
        });
  }
  const end = tailOffset + at;
  if (tail.getUint16(at + 4, true) !== tail.getUint16(at + 6, true))
    fail('archives in several parts are not supported', end);
  const short = {
    count: tail.getUint16(at + 10, true),
    size: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  const isLong = short.count === FULL16 || short.size === FULL32 || short.offset === FULL32;
  const long = isLong || end >= 20 ? await findZip64(file, end, isLong, fail) : undefined;
  const { count, size, offset, stop } = long ?? { ...short, stop: end };
  if (!liesWithin(offset, size, stop) || offset + size !== stop)
    fail(`the central directory claims bytes ${offset} to ${offset + size}, but must end at ${stop}`, end);
  return { count, size, offset };
}

async function findZip64(
  file: InputFile,
  end: number,
  required: boolean,
  fail: Fail,
): Promise<(Directory & { stop: number }) | undefined> {
  const locator = end >= 20 ? viewOf(await file.read(end - 20, end)) : undefined;
  if (locator?.getUint32(0, true) !== ZIP64_LOCATOR)
    return required ? fail('the zip64 end record is missing', end) : undefined;
  const at = Number(locator.getBigUint64(8, true));
  if (!liesWithin(at, 56, end - 20)) return fail(`the zip64 end record is said to be at ${at}`, end - 20);
  const record = viewOf(await file.read(at, at + 56));
  if (record.getUint32(0, true) !== ZIP64_END) return fail('no zip64 end record where the locator points', at);
  if (at + 12 + Number(record.getBigUint64(4, true)) !== end - 20)
    return fail('the zip64 end record has another length than its place', at);
  return {
    count: Number(record.getBigUint64(32, true)),
    size: Number(record.getBigUint64(40, true)),
    offset: Number(record.getBigUint64(48, true)),
    stop: at,
  };
}

function parseDirectory(bytes: Uint8Array, { offset, count }: Directory, fail: Fail): readonly Entry[] {
  const view = viewOf(bytes);
  const entries: Entry[] = [];
  const names = new Set<string>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const start = offset + at;
    if (!liesWithin(at, 46, bytes.byteLength) || view.getUint32(at, true) !== CENTRAL)
      fail(`the central directory has ${i} of ${count} members`, start);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [
      number,
      number,
      number,
    ];
    const next = at + 46 + nameLength + extraLength + commentLength;
    if (next > bytes.byteLength) fail('a member of the central directory reaches beyond its end', start);
    const rawName = bytes.subarray(at + 46, at + 46 + nameLength);
    const name = decodeName(rawName, start, fail);
    const place = { name };
    if (names.has(name)) fail(`the archive has two members "${shorten(name)}"`, start, place);
    names.add(name);
    if (view.getUint16(at + 8, true) & ENCRYPTED)
      fail('the member is encrypted', start, { ...place, hint: 'decrypt the archive first' });
    const sizes = readSizes(
      bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength),
      view,
      at,
      (message) => fail(message, start, place),
    );
    const method = methodOf(view.getUint16(at + 10, true), (message) =>
      fail(message, start, { ...place, hint: 'write the file again with numpy.savez' }),
    );
    if (method === 'stored' && sizes.size !== sizes.compressedSize)
      fail(`a stored member has sizes ${sizes.compressedSize} and ${sizes.size}`, start, place);
    entries.push({ name, method, crc: view.getUint32(at + 16, true), ...sizes, at: start, rawName });
    at = next;
  }
  if (at !== bytes.byteLength)
    fail(`${bytes.byteLength - at} bytes follow the ${count} members of the central directory`, offset + at);
  return entries;
}

/** The 32-bit sizes, or where they are full, the 64-bit ones of the extra field, in its fixed order. */
function readSizes(
  extra: Uint8Array,
  view: DataView,
  at: number,
  fail: (message: string) => never,
): { size: number; compressedSize: number; localOffset: number } {
  const zip64 = zip64Extra(extra, fail);
  let used = 0;
  const wide = (short: number): number => {
    if (short !== FULL32) return short;
    if (!zip64 || used + 8 > zip64.byteLength)
      return fail('a size is left to the zip64 extra field, which is missing or too short');
    const value = Number(zip64.getBigUint64(used, true));
    used += 8;
    if (!Number.isSafeInteger(value)) fail(`a size of ${value} bytes`);
    return value;
  };
  const size = wide(view.getUint32(at + 24, true));
  const compressedSize = wide(view.getUint32(at + 20, true));
  return { size, compressedSize, localOffset: wide(view.getUint32(at + 42, true)) };
}

function zip64Extra(extra: Uint8Array, fail: (message: string) => never): DataView | undefined {
  const view = viewOf(extra);
  let found: DataView | undefined;
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const length = view.getUint16(at + 2, true);
    if (at + 4 + length > extra.byteLength) fail('an extra field reaches beyond its end');
    if (view.getUint16(at, true) === ZIP64_EXTRA) {
      if (found) fail('two zip64 extra fields');
      found = viewOf(extra.subarray(at + 4, at + 4 + length));
    }
    at += 4 + length;
  }
  return found;
}

function methodOf(code: number, fail: (message: string) => never): ZipMember['method'] {
  if (code === 0) return 'stored';
  if (code === 8) return 'deflated';
  return fail(`compression method ${code} is not supported; supported are 0 (stored) and 8 (deflate)`);
}

/** Names never become paths here, but a name that would leave a folder is no array's name. */
function decodeName(raw: Uint8Array, at: number, fail: Fail): string {
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    return fail('a member name is not UTF-8', at);
  }
  if (
    name === '' ||
    name.startsWith('/') ||
    /\\|^[A-Za-z]:/.test(name) ||
    name.includes('\0') ||
    name.split('/').some((part) => part === '..' || part === '.')
  )
    fail(`the member name "${shorten(name)}" would leave its folder`, at, {
      name,
      hint: 'do not trust this file; take the checkpoint from its publisher',
    });
  return name;
}

/** Reads the local header, compares it with the directory and finds the data behind its own name and extra field. */
async function locate(file: InputFile, entry: Entry, limit: number, fail: Fail): Promise<ZipMember> {
  const { localOffset, rawName, at: _at, ...member } = entry;
  const place = { name: entry.name };
  const disagree = (what: string, here: string | number, there: string | number): never =>
    fail(`the local header says ${what} ${here}, the central directory ${there}`, localOffset, place);
  if (!liesWithin(localOffset, 30, limit))
    return fail(`the local header is said to be at ${localOffset}, outside the members`, entry.at, place);
  const bytes = await file.read(localOffset, Math.min(limit, localOffset + 30 + rawName.byteLength + 128));
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== LOCAL)
    return fail('no local header where the central directory points', localOffset, place);
  const flags = view.getUint16(6, true);
  const [nameLength, extraLength] = [view.getUint16(26, true), view.getUint16(28, true)];
  const headerLength = 30 + nameLength + extraLength;
  if (!liesWithin(localOffset, headerLength, limit))
    return fail('the local header reaches beyond the members', localOffset, place);
  if (Buffer.compare(rawName, bytes.subarray(30, 30 + nameLength)) !== 0)
    disagree(
      'name',
      `"${shorten(Buffer.from(bytes.subarray(30, 30 + nameLength)).toString())}"`,
      `"${shorten(entry.name)}"`,
    );
  if (flags & ENCRYPTED) disagree('encrypted', 'yes', 'no');
  const method = methodOf(view.getUint16(8, true), (message) => fail(message, localOffset, place));
  if (method !== entry.method) disagree('method', method, entry.method);
  const extra =
    headerLength <= bytes.byteLength
      ? bytes.subarray(30 + nameLength, headerLength)
      : await file.read(localOffset + 30 + nameLength, localOffset + headerLength);
  const stated = localSizes(view, extra, (message) => fail(message, localOffset, place));
  const open = (flags & SIZES_FOLLOW) !== 0; // zeros here, the truth in a data descriptor and in the directory
  for (const [what, here, there] of [
    ['CRC', stated.crc, entry.crc],
    ['size', stated.size, entry.size],
    ['compressed size', stated.compressedSize, entry.compressedSize],
  ] as const)
    if (here !== there && !(open && here === 0)) disagree(what, here, there);
  const dataOffset = localOffset + headerLength;
  if (!liesWithin(dataOffset, entry.compressedSize, limit))
    return fail(`the member claims ${entry.compressedSize} bytes, beyond the central directory`, localOffset, place);
  return { ...member, dataOffset };
}

function localSizes(
  view: DataView,
  extra: Uint8Array,
  fail: (message: string) => never,
): { crc: number; size: number; compressedSize: number } {
  const [compressed, size] = [view.getUint32(18, true), view.getUint32(22, true)];
  const zip64 = zip64Extra(extra, fail);
  const crc = view.getUint32(14, true);
  if (compressed !== FULL32 && size !== FULL32) return { crc, size, compressedSize: compressed };
  if (!zip64 || zip64.byteLength < 16)
    return fail('the local header leaves its sizes to a zip64 extra field, which is missing or too short');
  return { crc, size: Number(zip64.getBigUint64(0, true)), compressedSize: Number(zip64.getBigUint64(8, true)) };
}

/** Members that share bytes make small bombs; no writer of arrays makes them. */
function checkOverlap(entries: readonly Entry[], members: readonly ZipMember[], fail: Fail): void {
  const spans = entries
    .map(({ localOffset, name }, i) => ({
      begin: localOffset,
      end: members[i]!.dataOffset + members[i]!.compressedSize,
      name,
    }))
    .toSorted((a, b) => a.begin - b.begin);
  for (const [i, span] of spans.entries()) {
    const before = spans[i - 1];
    if (before && before.end > span.begin)
      fail(`the member overlaps "${shorten(before.name)}"`, span.begin, { name: span.name });
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
