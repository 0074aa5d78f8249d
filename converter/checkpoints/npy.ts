import type { DType } from '../../ir/dtypes/index.ts';
import { BadInputError } from '../errors.ts';
import { MAX_RANK, tensorByteLength } from './bounds.ts';
import { parseNpyDict, STRUCTURED } from './npy_literal.ts';
import { shorten } from './strict_json.ts';

/** numpy.load refuses longer headers too. */
const MAX_NPY_HEADER = 10_000;
/** Magic, version and the longer of the two length fields. */
export const NPY_PREAMBLE = 12;

export interface NpyHeader {
  readonly dtype: DType;
  /** As numpy shows it. */
  readonly shape: readonly number[];
  readonly fortranOrder: boolean;
  /** Big-endian: each element's bytes must be swapped. */
  readonly swapped: boolean;
  /** Bytes before the data. */
  readonly headerLength: number;
  readonly byteLength: number;
}

/** numpy's codes, without byte order. bfloat16 is stored as a void of two bytes, for want of a code of its own. */
const DTYPES: Readonly<Record<string, DType>> = {
  f4: 'f32',
  f2: 'f16',
  V2: 'bf16',
  i1: 'i8',
  u1: 'u8',
  i4: 'i32',
  i8: 'i64',
  b1: 'bool',
};
const SUPPORTED = '<f4, <f2, <V2 (bfloat16), |i1, |u1, <i4, <i8, |b1, and big-endian >f4, >f2, >i4, >i8';

/** Where the array is, for messages. */
export interface NpyPlace {
  readonly file: string;
  readonly tensor: string;
  /** Offset in the file of the first byte. */
  readonly offset: number;
}

/**
 * Bytes of preamble and header together, from the first 12 bytes.
 * @throws BadInputError when they are no npy preamble or claim too much.
 */
export function npyHeaderLength(head: Uint8Array, place: NpyPlace): number {
  const fail = (message: string, at: number): never => failNpy(place, message, at);
  if (Buffer.from(head.subarray(0, 6)).toString('latin1') !== '\u0093NUMPY')
    fail('does not begin with the magic of a .npy array', 0);
  const [major, minor] = [head[6], head[7]];
  if (head.byteLength < NPY_PREAMBLE) fail('the array ends inside its header', head.byteLength);
  if (minor !== 0 || major === undefined || major < 1 || major > 3)
    fail(`version ${major}.${minor} of the npy format is unknown`, 6);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const preamble = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_NPY_HEADER) fail(`the header claims ${length} bytes; at most ${MAX_NPY_HEADER} are read`, 8);
  return preamble + length;
}

/** Parses `headerLength` bytes: a Python dict literal, of which nothing is evaluated. */
export function parseNpyHeader(bytes: Uint8Array, place: NpyPlace): NpyHeader {
  const preamble = bytes[6] === 1 ? 10 : 12;
  const { descr, fortranOrder, shape } = parseNpyDict(decodeHeader(bytes, preamble, place), (message, at) =>
    failNpy(place, message, preamble + at),
  );
  if (descr === STRUCTURED)
    return failNpy(
      place,
      'a structured dtype is not supported: each array must hold plain numbers',
      preamble,
      'unsupported_dtype',
    );
  if (shape.length > MAX_RANK) failNpy(place, `shape has ${shape.length} axes; at most ${MAX_RANK} are read`, preamble);
  const { dtype, swapped } = parseDescr(descr, place, preamble);
  const byteLength = tensorByteLength(dtype, shape);
  if (byteLength === undefined)
    return failNpy(place, `shape (${shape.join(', ')}) has more than 2^53 - 1 bytes`, preamble);
  return { dtype, shape, fortranOrder, swapped, headerLength: bytes.byteLength, byteLength };
}

function decodeHeader(bytes: Uint8Array, preamble: number, place: NpyPlace): string {
  try {
    return new TextDecoder(bytes[6] === 3 ? 'utf-8' : 'latin1', { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(preamble),
    );
  } catch {
    return failNpy(place, 'the header is not UTF-8', preamble);
  }
}

function parseDescr(descr: string, place: NpyPlace, at: number): { dtype: DType; swapped: boolean } {
  const [, order, code] = /^([<>|=])([A-Za-z]\d+|O)$/.exec(descr) ?? [];
  const dtype = code !== undefined && Object.hasOwn(DTYPES, code) ? DTYPES[code] : undefined;
  const wide = dtype !== undefined && !code!.endsWith('1');
  if (code === 'O')
    return failNpy(
      place,
      'an object array is a Python pickle, which can run code when it is loaded',
      at,
      'pickle_refused',
    );
  // "=" depends on the machine that wrote it; "|" leaves a number's byte order open; nobody says what ">V2" holds.
  const known =
    dtype !== undefined &&
    order !== '=' &&
    !(wide && order === '|' && code !== 'V2') &&
    !(code === 'V2' && order === '>');
  if (!known)
    return failNpy(
      place,
      `dtype '${shorten(descr)}' is not supported; supported are ${SUPPORTED}`,
      at,
      'unsupported_dtype',
    );
  return { dtype, swapped: wide && order === '>' };
}

function failNpy({ file, tensor, offset }: NpyPlace, message: string, at: number, code = 'bad_npy'): never {
  const hint =
    code === 'bad_npy'
      ? 'download the file again, or write it again with numpy.savez'
      : 'write the array again as float32, float16 or bfloat16 with numpy.savez';
  throw new BadInputError(code, message, { file, tensor, offset: offset + at, hint });
}
