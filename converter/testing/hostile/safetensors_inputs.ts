import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refused, taken, type HostileInput, type Outcome } from './entry.ts';

/** A file of a header and so many zeros. */
function file(header: string | Uint8Array, dataLength = 0, statedLength?: bigint): Uint8Array {
  const json = Buffer.from(header as string);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(statedLength ?? BigInt(json.byteLength));
  return Buffer.concat([prefix, json, Buffer.alloc(dataLength)]);
}

const entry = (dtype: string, shape: string, offsets: string) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const one = (dtype: string, shape: string, offsets: string, dataLength = 0) =>
  file(`{"a":${entry(dtype, shape, offsets)}}`, dataLength);
const F32 = entry('F32', '[1]', '[0,4]');

/** A file by itself. */
const bytes = (input: string, content: Uint8Array, outcome: Outcome): HostileInput => ({
  input,
  outcome,
  async make(dir) {
    const path = join(dir, 'model.safetensors');
    await writeFile(path, content);
    return ['inspect', path];
  },
});

/** A model whose first shard is another. */
const shard = (
  input: string,
  edit: (content: Buffer) => Uint8Array,
  outcome: Outcome,
  command: (dir: string, out: string) => readonly string[] = (dir) => ['inspect', dir],
): HostileInput => ({
  input,
  outcome,
  async make(dir, out) {
    await cp('fixtures/pg1-tiny/hf', dir, { recursive: true });
    const path = join(dir, 'model-00001-of-00004.safetensors');
    await writeFile(path, edit(await readFile(path)));
    return command(dir, out);
  },
});

/** The same header with spaces behind it. */
function padded(content: Buffer): Uint8Array {
  const length = Number(content.readBigUInt64LE());
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length + 16));
  return Buffer.concat([prefix, content.subarray(8, 8 + length), Buffer.alloc(16, ' '), content.subarray(8 + length)]);
}

/** The last weight of a shard is NaN. */
function withNaN(content: Buffer): Uint8Array {
  const copy = Buffer.from(content);
  copy.fill(0xff, copy.length - 4);
  return copy;
}

const convert = (dir: string, out: string) => [
  'convert',
  dir,
  '--to',
  'onnx',
  '--dtype',
  'fp32',
  '--no-verify',
  '--out',
  out,
];

export const SAFETENSORS_INPUTS: readonly HostileInput[] = [
  bytes('0 bytes', new Uint8Array(), refused('file_truncated')),
  bytes('7 bytes', new Uint8Array(7), refused('file_truncated')),
  bytes('a header of 100,000,001 bytes', file('{}', 0, 100_000_001n), refused('header_too_large')),
  bytes('a header of 2^63 bytes', file('{}', 0, 2n ** 63n), refused('header_too_large')),
  bytes('a header longer than the file', file('{}', 0, 3n), refused('file_truncated')),
  bytes('`{}`: no tensors', file('{}'), refused('unknown_family')),
  bytes('the header `[]`', file('[]'), refused('safetensors_header')),
  bytes('bytes ff fe', file(Uint8Array.of(0xff, 0xfe)), refused('safetensors_header')),
  bytes('a byte order mark and `{}`', file('\ufeff{}'), refused('safetensors_header')),
  bytes('a space before `{}`', file(' {}'), refused('safetensors_header')),
  shard('spaces behind the header', padded, taken()),
  bytes('two tensors at [0, 4]', file(`{"a":${F32},"b":${F32}}`, 4), refused('safetensors_layout')),
  bytes(
    'a hole between tensors',
    file(`{"a":${entry('U8', '[1]', '[0,1]')},"b":${entry('U8', '[1]', '[2,3]')}}`, 3),
    refused('safetensors_layout'),
  ),
  bytes('one byte behind the last tensor', one('F32', '[1]', '[0,4]', 5), refused('safetensors_layout')),
  bytes('one byte short', one('F32', '[1]', '[0,4]', 3), refused('file_truncated')),
  bytes('offsets [4, 0]', one('F32', '[1]', '[4,0]', 4), refused('safetensors_header')),
  bytes('offsets [-4, 0]', one('F32', '[1]', '[-4,0]', 4), refused('safetensors_header')),
  bytes('offsets [0, 4.0]', one('F32', '[1]', '[0,4.0]', 4), refused('safetensors_header')),
  bytes('the shape [1e0]', one('F32', '[1e0]', '[0,4]', 4), refused('safetensors_header')),
  bytes(
    'the shape [2^63, 2^63]',
    one('F32', '[9223372036854775808,9223372036854775808]', '[0,0]'),
    refused('safetensors_header'),
  ),
  bytes(
    'a shape whose product is 16 bytes modulo 2^64',
    one('F32', '[4194305,4194305,211106198978564]', '[0,16]', 16),
    refused('safetensors_header'),
  ),
  bytes('the shape [2^53 + 1, 0]', one('F32', '[9007199254740993,0]', '[0,0]'), refused('safetensors_header')),
  bytes('the shape [2] with 4 bytes of F32', one('F32', '[2]', '[0,4]', 4), refused('safetensors_header')),
  bytes('the dtype F33', one('F33', '[1]', '[0,4]', 4), refused('safetensors_header')),
  bytes('a tensor twice', file(`{"a":${F32},"a":${F32}}`, 4), refused('safetensors_header')),
  bytes(
    'a key twice within a tensor',
    file('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}', 4),
    refused('safetensors_header'),
  ),
  bytes('metadata that is no text', file('{"__metadata__":{"a":1}}'), refused('safetensors_header')),
  bytes('the name `__proto__`', file(`{"__proto__":${F32}}`, 4), refused('unknown_family')),
  bytes('the name `../../x`', file(`{"../../x":${F32}}`, 4), refused('unknown_family')),
  bytes('a name with NUL', file(`{"a\\u0000b":${F32}}`, 4), refused('unknown_family')),
  bytes('`[` 200,000 times', file(`{"a":${'['.repeat(200_000)}`), refused('safetensors_header')),
  bytes(
    '66,000 tensors of no size',
    file(
      `{${Array.from({ length: 66_000 }, (_, i) => `"${i}":${entry('U8', '[0]', '[0,0]')}`).join(',')}}`.slice(
        0,
        7_999_000,
      ),
    ),
    refused('too_many_tensors'),
  ),
  shard('NaN in a weight', withNaN, taken('a warning that counts them'), convert),
  shard('NaN in a weight, with `--strict`', withNaN, refused('weight_not_finite'), (dir, out) => [
    ...convert(dir, out),
    '--strict',
  ]),
];
