import { dtypes, type DType } from '../../ir/dtypes/index.ts';
import type { TensorData } from '../../ir/tensor.ts';
import { openFile, removePath, renamePath } from '../disk.js';
import { OutputError } from '../errors.ts';
import { SAFETENSORS_DTYPES } from './safetensors_dtypes.ts';
import { METADATA_KEY } from './safetensors_header.ts';

export interface NamedTensor {
  readonly name: string;
  readonly data: TensorData;
}

const NAMES = new Map<DType, string>(Object.entries(SAFETENSORS_DTYPES).map(([name, dtype]) => [dtype, name]));

/**
 * Writes a safetensors file chunk by chunk, beside its path first and then renamed. Wider elements come first, then the
 * given order, so that each tensor is aligned to its element; the header is padded to 8 bytes, as the reference writer
 * does.
 * @throws RangeError for a duplicate or reserved name, a dtype that the format lacks, or data shorter or longer than
 * stated.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = [...tensors].toSorted((a, b) => dtypes[b.data.dtype].bits - dtypes[a.data.dtype].bits);
  const header = encodeHeader(ordered, metadata);
  const partial = `${path}.partial`;
  try {
    const file = await openFile(partial, 'w');
    try {
      await file.write(header);
      for (const { name, data } of ordered) {
        let written = 0;
        for await (const chunk of data.chunks()) {
          await file.write(chunk);
          written += chunk.byteLength;
        }
        if (written !== data.byteLength) throw new RangeError(`"${name}" gave ${written} bytes of ${data.byteLength}`);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await renamePath(partial, path);
  } catch (error) {
    await removePath(partial);
    throw isSystemError(error)
      ? new OutputError(
          'cannot_write',
          `cannot write the file: ${error.message}`,
          { file: path, hint: 'check the free space and the permissions there' },
          { cause: error },
        )
      : error;
  }
}

/** Length prefix and padded JSON. */
function encodeHeader(tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const members: string[] = [];
  const seen = new Set([METADATA_KEY]);
  if (Object.keys(metadata).length > 0) members.push(`${JSON.stringify(METADATA_KEY)}:${JSON.stringify(metadata)}`);
  let at = 0;
  for (const { name, data } of tensors) {
    if (seen.has(name)) throw new RangeError(`"${name}" is there twice or reserved`);
    seen.add(name);
    const dtype = NAMES.get(data.dtype);
    if (dtype === undefined) throw new RangeError(`safetensors files have no ${data.dtype} ("${name}")`);
    members.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape: data.shape, data_offsets: [at, at + data.byteLength] })}`,
    );
    at += data.byteLength;
  }
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
