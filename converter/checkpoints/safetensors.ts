import type { DType } from '../../ir/dtypes/index.ts';
import { readRange, rememberDirectRead, type TensorData } from '../../ir/tensor.ts';
import { BadInputError } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { inputsOr, type Inputs } from '../inputs/inputs.ts';
import type { UnreadableTensor } from './checkpoint.ts';
import { liesWithin } from './bounds.ts';
import { recognize } from './recognize.ts';
import { parseHeader, type HeaderEntry } from './safetensors_header.ts';
import { shorten } from './strict_json.ts';

export interface SafetensorsOptions {
  /** Largest header that is read, default 8 MB; at most 100 MB, the limit of the reference reader. */
  readonly maxHeaderBytes?: number;
  /** What it is one of; default inputs of its own. */
  readonly inputs?: Inputs | undefined;
}

export const DEFAULT_HEADER_BYTES = 8_000_000;
const MAX_HEADER_BYTES = 100_000_000;

/** A safetensors file whose header was read and whose weights were not. */
export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, TensorData>;
  readonly metadata: ReadonlyMap<string, string>;
  /** @throws BadInputError when the file changed since it was opened. */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file: u64 little-endian header length, JSON header, data.
 * @throws BadInputError for whatever the format forbids and for dtypes that the IR lacks, naming the tensor and the
 * byte offset.
 */
export async function openSafetensors(path: string, options: SafetensorsOptions = {}): Promise<SafetensorsFile> {
  const { inputs, close } = inputsOr(options.inputs);
  try {
    const file = await inputs.open(path);
    const { tensors, metadata } = await readAllTensors(file, options);
    return { tensors, metadata, checkUnchanged: () => file.checkUnchanged(), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the header of a safetensors file tells. */
export interface SafetensorsContent extends Pick<SafetensorsFile, 'tensors' | 'metadata'> {
  /** Tensors of dtypes that the IR has not. */
  readonly unreadable: ReadonlyMap<string, UnreadableTensor>;
}

/** Reads the header of an opened file; the tensors read from it by range. */
export async function readSafetensors(file: InputFile, options: SafetensorsOptions = {}): Promise<SafetensorsContent> {
  const bytes = await readHeader(file, options);
  const dataOffset = 8 + bytes.byteLength;
  const { entries, metadata } = parseHeader(bytes, file.path, file.byteLength - dataOffset);
  const tensors = new Map<string, TensorData>();
  const unreadable = new Map<string, UnreadableTensor>();
  for (const entry of entries) {
    const { name, dtype, written, shape, begin, end } = entry;
    if (dtype !== undefined) tensors.set(name, tensorOf(file, entry, dtype, dataOffset));
    else
      unreadable.set(name, {
        dtype: written,
        shape,
        byteLength: end - begin,
        from: { file: file.path, byteOffset: dataOffset + begin },
      });
  }
  return { tensors, metadata, unreadable };
}

/** The same for files of which every tensor is meant. @throws BadInputError for a dtype that the IR lacks */
export async function readAllTensors(
  file: InputFile,
  options: SafetensorsOptions = {},
): Promise<Pick<SafetensorsFile, 'tensors' | 'metadata'>> {
  const { tensors, metadata, unreadable } = await readSafetensors(file, options);
  const [first] = unreadable;
  if (first) throw unreadableTensor(...first);
  return { tensors, metadata };
}

/** Why a tensor is not read, and the way out. */
export function unreadableTensor(name: string, { dtype, from }: UnreadableTensor): BadInputError {
  return new BadInputError('unsupported_dtype', `"${shorten(name)}" is ${dtype}: weights must be F32, F16 or BF16`, {
    file: from.file,
    tensor: name,
    offset: from.byteOffset,
    hint: 'save the model in one of these, in Python: model.to(torch.bfloat16), or torch.float32, and save_pretrained(out)',
  });
}

function tensorOf(
  file: InputFile,
  { name, shape, begin: first, end: last }: HeaderEntry,
  dtype: DType,
  dataOffset: number,
): TensorData {
  const byteLength = last - first;
  const byteOffset = dataOffset + first;
  const data: TensorData = {
    dtype,
    shape,
    byteLength,
    from: { file: file.path, key: name, byteOffset },
    chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      return file.chunks(byteOffset + begin, byteOffset + end, maxBytes);
    },
  };
  return rememberDirectRead(data, (out, begin) => file.readInto(out, byteOffset + begin));
}

async function readHeader(
  file: InputFile,
  { maxHeaderBytes = DEFAULT_HEADER_BYTES }: SafetensorsOptions,
): Promise<Uint8Array> {
  const fail = (code: string, message: string, hint: string, offset = 0): never => {
    throw new BadInputError(code, message, { file: file.path, offset, hint });
  };
  const content = await recognize(file);
  if (content.kind === 'refused') fail(content.code, content.message, content.hint);
  if (content.kind === 'zip')
    fail(
      'not_safetensors',
      'a zip archive, not a safetensors file',
      'rename it to .npz if numpy wrote it; PyTorch archives must be converted to safetensors in Python',
    );
  if (file.byteLength < 8)
    fail(
      'file_truncated',
      `truncated: expected at least 8 bytes of header length, the file has ${file.byteLength}`,
      'download the file again: it is incomplete',
      file.byteLength,
    );
  const prefix = await file.read(0, 8);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  const limit = Math.min(maxHeaderBytes, MAX_HEADER_BYTES);
  if (length > BigInt(MAX_HEADER_BYTES))
    fail(
      'header_too_large',
      `the header claims ${length} bytes; the format allows ${MAX_HEADER_BYTES}`,
      'check that this is a safetensors file, and download it again',
    );
  const headerLength = Number(length);
  if (!liesWithin(8, headerLength, file.byteLength))
    fail(
      'file_truncated',
      `truncated: expected ${8 + headerLength} bytes of length and header, the file has ${file.byteLength}`,
      'download the file again: it is incomplete',
      file.byteLength,
    );
  if (headerLength > limit)
    fail(
      'header_too_large',
      `the header has ${headerLength} bytes; at most ${limit} are read`,
      'write the checkpoint again with fewer tensors in a file',
    );
  return file.read(8, 8 + headerLength);
}
