import { dtypes, type DType } from '../../ir/dtypes/index.ts';
import { BadInputError } from '../errors.ts';
import { MAX_RANK, packedByteLength } from './bounds.ts';
import { OTHER_DTYPES, SAFETENSORS_DTYPES } from './safetensors_dtypes.ts';
import { JsonReader, shorten } from './strict_json.ts';

const SUPPORTED = Object.keys(SAFETENSORS_DTYPES).join(', ');

export const MAX_TENSORS = 65_536;
export const METADATA_KEY = '__metadata__';

/** One tensor as the header states it: its bytes are [begin, end) of the data section. */
export interface HeaderEntry {
  readonly name: string;
  /** Of the IR; undefined when it has none that `written` means. */
  readonly dtype: DType | undefined;
  /** As the header spells it, such as `F8_E4M3`. */
  readonly written: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
  /** Offset in the file of the name. */
  readonly at: number;
}

export interface Header {
  /** In file order of the header. */
  readonly entries: readonly HeaderEntry[];
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Parses the JSON header of a safetensors file whose data section has `dataLength` bytes from `dataOffset`.
 * @throws BadInputError unless the tensors fill the data section exactly, without overlap or hole, and each fits its
 * shape.
 */
export function parseHeader(bytes: Uint8Array, file: string, dataLength: number): Header {
  const json = new JsonReader(bytes, {
    file,
    offset: 8,
    code: 'safetensors_header',
    hint: 'download the file again, or write it again with a safetensors library',
  });
  if (bytes[0] !== 0x7b) json.fail('the header must begin with "{"', 8);
  const entries: HeaderEntry[] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  let keyAt = json.offset;
  for (const name of json.object('the header object')) {
    if (name === METADATA_KEY) metadata = readMetadata(json);
    else {
      if (entries.length === MAX_TENSORS)
        throw new BadInputError('too_many_tensors', `the header lists more than ${MAX_TENSORS} tensors`, {
          file,
          offset: keyAt,
          hint: 'split the file',
        });
      json.tensor = name;
      entries.push(readEntry(json, name, keyAt));
      json.tensor = undefined;
    }
    keyAt = json.offset;
  }
  json.end();
  checkLayout(entries, file, dataLength, 8 + bytes.byteLength);
  return { entries, metadata };
}

function readMetadata(json: JsonReader): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const key of json.object('an object of metadata'))
    metadata.set(key, json.string(`a string for metadata "${shorten(key)}"`));
  return metadata;
}

function readEntry(json: JsonReader, name: string, at: number): HeaderEntry {
  const start = json.offset;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  let shapeAt = start;
  for (const key of json.object(`an object for "${shorten(name)}"`)) {
    if (key === 'dtype') dtype = readDType(json);
    else if (key === 'shape') {
      shapeAt = json.offset;
      shape = readIntegers(json, 'a dimension', MAX_RANK);
    } else if (key === 'data_offsets') offsets = readIntegers(json, 'a data offset', 2);
    else json.fail(`unknown key "${shorten(key)}": expected dtype, shape and data_offsets`);
  }
  if (dtype === undefined || shape === undefined || offsets === undefined)
    return json.fail('dtype, shape or data_offsets is missing', start);
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined) return json.fail('data_offsets must have two elements', start);
  if (begin > end) json.fail(`data_offsets [${begin}, ${end}] end before they begin`, start);
  const known = readable(dtype);
  const shown = `${known ?? dtype}[${shape.join(', ')}]`;
  const byteLength = packedByteLength(known === undefined ? OTHER_DTYPES.get(dtype)! : dtypes[known].bits, shape);
  if (byteLength === undefined) return json.fail(`shape [${shape.join(', ')}] has more than 2^53 - 1 bytes`, shapeAt);
  if (byteLength !== end - begin)
    json.fail(`${shown} takes ${byteLength} bytes, but data_offsets [${begin}, ${end}] hold ${end - begin}`, start);
  return { name, dtype: known, written: dtype, shape, begin, end, at };
}

function readable(name: string): DType | undefined {
  return Object.hasOwn(SAFETENSORS_DTYPES, name)
    ? SAFETENSORS_DTYPES[name as keyof typeof SAFETENSORS_DTYPES]
    : undefined;
}

/** A dtype that the format has, whether the IR has it or not. */
function readDType(json: JsonReader): string {
  const offset = json.offset;
  const name = json.string('a dtype');
  if (readable(name) !== undefined || OTHER_DTYPES.has(name)) return name;
  return json.fail(`dtype "${shorten(name)}" is not supported; supported are ${SUPPORTED}`, offset);
}

function readIntegers(json: JsonReader, what: string, most: number): number[] {
  const list: number[] = [];
  for (const index of json.array()) {
    if (index >= most) json.fail(`more than ${most} elements`);
    list.push(json.unsigned(what));
  }
  return list;
}

/** Tensors in order of their bytes must follow each other from 0 to the end of the file. */
function checkLayout(entries: readonly HeaderEntry[], file: string, dataLength: number, dataOffset: number): void {
  const layout = (message: string, offset: number, tensor?: string) =>
    new BadInputError('safetensors_layout', message, {
      file,
      offset: dataOffset + offset,
      ...(tensor !== undefined && { tensor }),
      hint: 'download the file again, or write it again with a safetensors library',
    });
  let at = 0;
  let before: HeaderEntry | undefined;
  for (const entry of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin < at)
      throw layout(
        `overlaps "${shorten(before!.name)}": it begins at data byte ${entry.begin}, before ${at}`,
        entry.begin,
        entry.name,
      );
    if (entry.begin > at) throw layout(`data bytes ${at} to ${entry.begin} belong to no tensor`, at, entry.name);
    at = entry.end;
    before = entry;
  }
  if (at > dataLength) {
    const cut = entries.find((entry) => entry.end > dataLength)!;
    throw new BadInputError(
      'file_truncated',
      `truncated: expected ${dataOffset + at} bytes, the file has ${dataOffset + dataLength}`,
      {
        file,
        tensor: cut.name,
        offset: dataOffset + dataLength,
        hint: 'download the file again: it is incomplete',
      },
    );
  }
  if (at < dataLength) throw layout(`${dataLength - at} bytes follow the last tensor`, at);
}
