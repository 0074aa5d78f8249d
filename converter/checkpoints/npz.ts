import { dtypes } from '../../ir/dtypes/index.ts';
import { elementCount, readRange, rememberDirectRead, type TensorData } from '../../ir/tensor.ts';
import { transposeData } from '../../ir/views/transpose.ts';
import { BadInputError } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { inputsOr, type Inputs } from '../inputs/inputs.ts';
import type { Beside, SourceFile } from './checkpoint.ts';
import { NPY_PREAMBLE, npyHeaderLength, parseNpyHeader, type NpyHeader } from './npy.ts';
import { recognize, refusal } from './recognize.ts';
import { ScratchFile } from '../scratch_file.ts';
import { shorten } from './strict_json.ts';
import { rootOf } from './tree_root.ts';
import { arrayName, readZip, type ZipMember } from './zip.ts';
import { memberBytes, type MemberBytes } from './zip_member.ts';

export interface NpzOptions {
  /** Where deflated members are inflated when they are first read, default the system's temporary folder. */
  readonly scratchDir?: string;
  /** What it is one of; default inputs of its own. */
  readonly inputs?: Inputs | undefined;
}

/** An opened .npz: every array's dtype and shape are known, no array was read. */
export interface NpzFile {
  /** By member name without `.npy`, in the order of the archive. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  readonly file: SourceFile;
  /** Members that are not among them. */
  readonly beside: ReadonlyMap<string, Beside>;
  readonly warnings: readonly string[];
  /** Completes the CRC of every array that was read. @throws BadInputError when one differs or the file changed. */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** A Fortran-ordered array is held whole to be transposed. */
const MAX_FORTRAN_BYTES = 1 << 30;

/**
 * Opens a .npz of float, integer and boolean arrays, stored or deflated.
 * @throws BadInputError for whatever numpy would not have written, naming the array and the byte offset.
 */
export async function openNpz(path: string, options: NpzOptions = {}): Promise<NpzFile> {
  const { inputs, close: closeInputs } = inputsOr(options.inputs);
  const scratch = new ScratchFile(options.scratchDir);
  const close = async (): Promise<void> => {
    await Promise.all([closeInputs(), scratch.close()]);
  };
  try {
    const file = await inputs.open(path);
    await checkIsZip(file);
    const { arrays, beside, warnings } = await readArrays(file, scratch);
    return {
      tensors: new Map(
        arrays.map(({ name, header, bytes, offset }) => [name, arrayData(file, name, header, bytes, offset)]),
      ),
      file,
      beside,
      warnings,
      async checkUnchanged() {
        for (const { bytes } of arrays) await bytes.verify();
        await inputs.checkUnchanged();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface NpzArray {
  readonly name: string;
  readonly header: NpyHeader;
  readonly bytes: MemberBytes;
  /** Offset of the data in the file, or in the inflated member. */
  readonly offset: number;
}

async function checkIsZip(file: InputFile): Promise<void> {
  const content = await recognize(file);
  const place = { file: file.path, offset: 0 };
  if (content.kind === 'refused')
    throw new BadInputError(content.code, content.message, { ...place, hint: content.hint });
  if (content.kind === 'empty')
    throw new BadInputError('file_truncated', 'truncated: the file is empty', {
      ...place,
      hint: 'download the file again',
    });
  if (content.kind !== 'zip')
    throw new BadInputError('not_npz', 'not a zip archive, which every .npz is', {
      ...place,
      hint: 'write the arrays with numpy.savez',
    });
}

async function readArrays(
  file: InputFile,
  scratch: ScratchFile,
): Promise<{
  arrays: NpzArray[];
  beside: Map<string, Beside>;
  warnings: string[];
}> {
  const members = await readZip(file);
  if (members.some(({ name }) => name === 'data.pkl' || name.endsWith('/data.pkl')))
    throw refusal('pickle', { file: file.path });
  const arrays: NpzArray[] = [];
  const beside = new Map<string, Beside>();
  const warnings: string[] = [];
  const isWeight = weightNames(members.map(({ name }) => name));
  for (const member of members) {
    if (!member.name.endsWith('.npy')) {
      if (member.name.endsWith('/')) continue;
      beside.set(member.name, 'no array');
      warnings.push(`${file.name}: the member "${shorten(member.name)}" is no .npy array and was left out.`);
      continue;
    }
    try {
      arrays.push(await readArray(file, member, scratch));
    } catch (error) {
      if (
        isWeight(member.name) ||
        !(error instanceof BadInputError) ||
        !['unsupported_dtype', 'pickle_refused'].includes(error.code)
      )
        throw error;
      beside.set(arrayName(member.name), 'unreadable');
      warnings.push(
        `${file.name}: the array "${shorten(member.name)}", which is not among the weights, was left out: ${error.message}.`,
      );
    }
  }
  if (arrays.length === 0)
    throw new BadInputError('not_npz', `the archive holds no .npy arrays among its ${members.length} members`, {
      file: file.path,
      hint: 'give an .npz that numpy.savez wrote; extract other archives first',
    });
  return { arrays, beside, warnings };
}

/**
 * Training checkpoints keep timers (float64) and optimizer state beside the weights, which have a root or the towers'
 * names.
 */
function weightNames(names: readonly string[]): (name: string) => boolean {
  const root = rootOf(names);
  if (root !== '') return (name) => name.startsWith(root);
  const isTower = (name: string) => /^(?:img|llm)\//.test(name);
  return names.some(isTower) ? isTower : () => true;
}

async function readArray(file: InputFile, member: ZipMember, scratch: ScratchFile): Promise<NpzArray> {
  const name = arrayName(member.name);
  const stored = member.method === 'stored';
  const place = { file: file.path, tensor: name, offset: stored ? member.dataOffset : 0 };
  const bytes = memberBytes(file, member, scratch);
  const headerLength = npyHeaderLength(await bytes.head(NPY_PREAMBLE), place);
  const fail = (message: string, offset: number, code = 'bad_npy'): never => {
    throw new BadInputError(code, message, {
      ...place,
      offset: place.offset + offset,
      hint: 'download the file again, or write it again with numpy.savez',
    });
  };
  if (headerLength > member.size)
    fail(
      `truncated: expected a header of ${headerLength} bytes, the member has ${member.size}`,
      member.size,
      'file_truncated',
    );
  const header = parseNpyHeader(await bytes.head(headerLength), place);
  const have = member.size - headerLength;
  const type = `${header.dtype}(${header.shape.join(', ')})`;
  if (have < header.byteLength)
    fail(
      `truncated: expected ${header.byteLength} bytes for ${type}, the member has ${have}`,
      member.size,
      'file_truncated',
    );
  if (have > header.byteLength)
    fail(`${have - header.byteLength} bytes follow ${type}`, headerLength + header.byteLength);
  if (header.fortranOrder && header.shape.length > 1 && header.byteLength > MAX_FORTRAN_BYTES)
    throw new BadInputError(
      'unsupported_layout',
      `Fortran order is supported up to ${MAX_FORTRAN_BYTES} bytes; this array has ${header.byteLength}`,
      {
        ...place,
        hint: 'write the array again from numpy.ascontiguousarray(array)',
      },
    );
  return { name, header, bytes, offset: place.offset + headerLength };
}

function arrayData(
  file: InputFile,
  name: string,
  header: NpyHeader,
  bytes: MemberBytes,
  byteOffset: number,
): TensorData {
  const { dtype, byteLength, headerLength, swapped, fortranOrder } = header;
  const reversed = fortranOrder && elementCount(header.shape) > 0;
  const data: TensorData = {
    dtype,
    shape: reversed ? header.shape.toReversed() : header.shape,
    byteLength,
    from: { file: file.path, key: name, byteOffset },
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      for await (const chunk of bytes.chunks(headerLength + begin, headerLength + end, maxBytes))
        yield swapped ? swapBytes(chunk, dtypes[dtype].bits) : chunk;
    },
  };
  if (bytes.readInto && !swapped) rememberDirectRead(data, (out, begin) => bytes.readInto!(out, headerLength + begin));
  // Fortran order is C order of the reversed axes.
  return reversed
    ? transposeData(
        data,
        header.shape.map((_, i) => header.shape.length - 1 - i),
      )
    : data;
}

function swapBytes(chunk: Uint8Array, bits: number): Uint8Array {
  const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (bits === 16) buffer.swap16();
  else if (bits === 32) buffer.swap32();
  else if (bits === 64) buffer.swap64();
  return chunk;
}
