import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { SafeTensor } from 'safetensors';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../ir/dtypes/index.ts';
import { bytesData, readBytes, readTensor, tensorData, tensorOf } from '../../ir/tensor.ts';
import { openSafetensors, type SafetensorsOptions } from './safetensors.ts';
import { SAFETENSORS_DTYPES } from './safetensors_dtypes.ts';
import { writeSafetensors } from './safetensors_writer.ts';
import { expectRefusal, type Refusal } from './testing/expect_refusal.ts';
import { tempFolder } from './testing/temp_folder.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');

function file(header: string | Uint8Array, dataLength = 0, statedLength?: bigint): Uint8Array {
  const json = Buffer.from(header as string);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(statedLength ?? BigInt(json.byteLength));
  return Buffer.concat([prefix, json, Buffer.alloc(dataLength)]);
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const one = (dtype: string, shape: string, offsets: string, dataLength = 0): Uint8Array =>
  file(`{"a":${entry(dtype, shape, offsets)}}`, dataLength);
const a = { tensor: 'a' };

const CORPUS: readonly (readonly [string, Uint8Array, Refusal])[] = [
  ['0 bytes', new Uint8Array(), { code: 'file_truncated', message: /expected at least 8 bytes.*has 0/, offset: 0 }],
  ['7 bytes', new Uint8Array(7), { code: 'file_truncated', message: /expected at least 8 bytes.*has 7/, offset: 7 }],
  [
    'header length 100,000,001',
    file('{}', 0, 100_000_001n),
    { code: 'header_too_large', message: /100000001 bytes; the format allows 100000000/, offset: 0 },
  ],
  [
    'header length 2^63',
    file('{}', 0, 2n ** 63n),
    { code: 'header_too_large', message: /9223372036854775808/, offset: 0 },
  ],
  [
    'header length 2^64 - 1',
    file('{}', 0, 2n ** 64n - 1n),
    { code: 'header_too_large', message: /18446744073709551615/, offset: 0 },
  ],
  [
    'header longer than the file',
    file('{}', 0, 3n),
    { code: 'file_truncated', message: /expected 11 bytes.*has 10/, offset: 10 },
  ],
  ['header length 0', file('', 4), { code: 'safetensors_header', message: /must begin with "{"/, offset: 8 }],
  ['header []', file('[]'), { code: 'safetensors_header', message: /must begin with "{"/, offset: 8 }],
  [
    'bytes ff fe',
    file(Uint8Array.of(0xff, 0xfe)),
    { code: 'safetensors_header', message: /must begin with "{"/, offset: 8 },
  ],
  ['BOM and {}', file('\ufeff{}'), { code: 'safetensors_header', message: /must begin with "{"/, offset: 8 }],
  ['leading space', file(' {}'), { code: 'safetensors_header', message: /must begin with "{"/, offset: 8 }],
  [
    'text after the header object',
    file('{}x'),
    { code: 'safetensors_header', message: /expected the end of the text, found "x"/, offset: 10 },
  ],
  [
    'two tensors at [0,4]',
    file(`{"a":${entry('F32', '[1]', '[0,4]')},"b":${entry('F32', '[1]', '[0,4]')}}`, 4),
    { code: 'safetensors_layout', message: /overlaps "a"/, tensor: 'b', offset: 115 },
  ],
  [
    'a hole',
    file(`{"a":${entry('U8', '[1]', '[0,1]')},"b":${entry('U8', '[1]', '[2,3]')}}`, 3),
    { code: 'safetensors_layout', message: /bytes 1 to 2 belong to no tensor/, tensor: 'b', offset: 114 },
  ],
  [
    'a hole at the start',
    one('U8', '[1]', '[1,2]', 2),
    { code: 'safetensors_layout', message: /bytes 0 to 1 belong to no tensor/, ...a },
  ],
  [
    'one trailing byte',
    one('F32', '[1]', '[0,4]', 5),
    { code: 'safetensors_layout', message: /1 bytes follow the last tensor/, offset: 66 },
  ],
  [
    'trailing byte after no tensors',
    file('{}', 1),
    { code: 'safetensors_layout', message: /1 bytes follow/, offset: 10 },
  ],
  [
    'one byte short',
    one('F32', '[1]', '[0,4]', 3),
    { code: 'file_truncated', message: /truncated: expected 66 bytes, the file has 65/, ...a, offset: 65 },
  ],
  [
    'offsets [4,0]',
    one('F32', '[1]', '[4,0]', 4),
    { code: 'safetensors_header', message: /\[4, 0\] end before they begin/, ...a, offset: 13 },
  ],
  [
    'offsets [-4,0]',
    one('F32', '[1]', '[-4,0]', 4),
    { code: 'safetensors_header', message: /data offset \(digits only\), found -4/, ...a, offset: 56 },
  ],
  [
    'offsets [0,4.0]',
    one('F32', '[1]', '[0,4.0]', 4),
    { code: 'safetensors_header', message: /found 4\.0/, ...a, offset: 58 },
  ],
  [
    'offsets of one element',
    one('F32', '[1]', '[4]', 4),
    { code: 'safetensors_header', message: /two elements/, ...a },
  ],
  [
    'offsets of three elements',
    one('F32', '[1]', '[0,4,8]', 4),
    { code: 'safetensors_header', message: /more than 2 elements/, ...a },
  ],
  [
    'shape [1e0]',
    one('F32', '[1e0]', '[0,4]', 4),
    { code: 'safetensors_header', message: /dimension \(digits only\), found 1e0/, ...a, offset: 37 },
  ],
  [
    'shape [2^63,2^63]',
    one('F32', '[9223372036854775808,9223372036854775808]', '[0,0]'),
    { code: 'safetensors_header', message: /9223372036854775808 is beyond 2\^53 - 1/, ...a },
  ],
  [
    'shape whose product is 16 modulo 2^64',
    one('U8', '[4194305,4194305,211106198978564]', '[0,16]', 16),
    { code: 'safetensors_header', message: /has more than 2\^53 - 1 bytes/, ...a, offset: 35 },
  ],
  [
    'shape [2^53+1,0]',
    one('F32', '[9007199254740993,0]', '[0,0]'),
    { code: 'safetensors_header', message: /9007199254740993 is beyond/, ...a },
  ],
  [
    'shape that overflows beside a zero',
    one('F32', '[1099511627776,1099511627776,0]', '[0,0]'),
    { code: 'safetensors_header', message: /more than 2\^53 - 1 bytes/, ...a },
  ],
  [
    'shape of 65 axes',
    one('F32', `[${Array(65).fill(1).join(',')}]`, '[0,4]', 4),
    { code: 'safetensors_header', message: /more than 64 elements/, ...a },
  ],
  [
    'shape [2] with 4 bytes',
    one('F32', '[2]', '[0,4]', 4),
    { code: 'safetensors_header', message: /f32\[2\] takes 8 bytes, but data_offsets \[0, 4\] hold 4/, ...a },
  ],
  [
    'dtype F33',
    one('F33', '[1]', '[0,4]', 4),
    {
      code: 'safetensors_header',
      message: /dtype "F33" is not supported; supported are F32, F16, BF16, I8, U8, I32, I64, BOOL/,
      ...a,
      offset: 22,
    },
  ],
  [
    'dtype F64',
    one('F64', '[1]', '[0,8]', 8),
    { code: 'unsupported_dtype', message: /^"a" is F64: weights must be F32, F16 or BF16$/, ...a, offset: 62 },
  ],
  [
    'dtype F8_E4M3',
    one('F8_E4M3', '[1]', '[0,1]', 1),
    { code: 'unsupported_dtype', message: /^"a" is F8_E4M3: /, ...a, offset: 66 },
  ],
  [
    'dtype constructor',
    one('constructor', '[1]', '[0,1]', 1),
    { code: 'safetensors_header', message: /"constructor" is not supported/, ...a },
  ],
  [
    'duplicate tensor name',
    file(`{"a":${entry('U8', '[1]', '[0,1]')},"a":${entry('U8', '[1]', '[1,2]')}}`, 2),
    { code: 'safetensors_header', message: /duplicate key "a"/, offset: 61 },
  ],
  [
    'duplicate inner key',
    file('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
    { code: 'safetensors_header', message: /duplicate key "dtype"/, ...a, offset: 27 },
  ],
  [
    'unknown inner key',
    file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}', 1),
    { code: 'safetensors_header', message: /unknown key "x"/, ...a },
  ],
  [
    'missing inner key',
    file('{"a":{"dtype":"U8","shape":[1]}}', 1),
    { code: 'safetensors_header', message: /data_offsets is missing/, ...a },
  ],
  [
    'metadata value not a string',
    file('{"__metadata__":{"n":1}}'),
    { code: 'safetensors_header', message: /expected a string for metadata "n"/, offset: 29 },
  ],
  [
    'metadata not an object',
    file('{"__metadata__":"x"}'),
    { code: 'safetensors_header', message: /expected an object of metadata/ },
  ],
  [
    'metadata twice',
    file('{"__metadata__":{},"__metadata__":{}}'),
    { code: 'safetensors_header', message: /duplicate key "__metadata__"/ },
  ],
  [
    'name with NUL, contradicting itself',
    file(`{"a\\u0000b":${entry('F32', '[2]', '[0,4]')}}`, 4),
    { code: 'safetensors_header', message: /takes 8 bytes/, tensor: 'a\0b' },
  ],
  [
    '200k nested [',
    file('['.repeat(200_000)),
    { code: 'safetensors_header', message: /must begin with "{"/, offset: 8 },
  ],
  [
    '200k nested [ as a tensor',
    file(`{"a":${'['.repeat(200_000)}`),
    { code: 'safetensors_header', message: /expected an object for "a", found "\["/, ...a, offset: 13 },
  ],
  [
    '200k nested { as a tensor',
    file(`{"a":${'{"dtype":'.repeat(200_000)}`),
    { code: 'safetensors_header', message: /expected a dtype in double quotes, found "{"/, ...a },
  ],
  [
    '200k nested [ in a shape',
    one('F32', '['.repeat(200_000), '[0,4]', 4),
    { code: 'safetensors_header', message: /expected a dimension, found "\["/, ...a },
  ],
  [
    'Git LFS pointer',
    Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4986813696\n'),
    { code: 'git_lfs_pointer', message: /Git LFS pointer.*4986813696 bytes/, offset: 0 },
  ],
  [
    'HTML page',
    Buffer.from('<!DOCTYPE html><html><title>Sign in</title>'),
    { code: 'html_page', message: /HTML page/, offset: 0 },
  ],
  [
    'zip archive',
    Buffer.from('PK\u0003\u0004 and more'),
    { code: 'not_safetensors', message: /zip archive/, offset: 0 },
  ],
  [
    'PyTorch pickle',
    Buffer.from('80028a0a6cfc9c46f920', 'hex'),
    { code: 'pickle_refused', message: /pickle, which can run code/, offset: 0 },
  ],
];

/** npm's safetensors, which cannot take metadata: it is blanked. */
function independentReader(path: string): SafeTensor {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = bytes.toString('latin1', 8, 8 + length);
  bytes.write(
    header.replace(/"__metadata__":\{[^}]*\},/, (found) => ' '.repeat(found.length)),
    8,
    'latin1',
  );
  return new SafeTensor(new Uint8Array(bytes));
}

async function openOnce(path: string, options?: SafetensorsOptions): Promise<void> {
  await (await openSafetensors(path, options)).close();
}

describe('corpus', () => {
  test.each(CORPUS)('%s', async (_, bytes, refusal) => {
    const path = join(tempFolder({ 'bad.safetensors': bytes }), 'bad.safetensors');
    await expectRefusal(() => openOnce(path), path, refusal);
  });

  test('1M zero-size tensors', async () => {
    const zero = `:${entry('U8', '[0]', '[0,0]')}`;
    const path = join(
      tempFolder({
        'many.safetensors': file(`{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}"${zero}`).join(',')}}`),
      }),
      'many.safetensors',
    );
    await expectRefusal(() => openOnce(path), path, {
      code: 'header_too_large',
      message: /at most 8000000 are read/,
      offset: 0,
    });
    const raised = await openOnce(path, { maxHeaderBytes: 1e9 }).catch((error: unknown) => error);
    expect(raised).toMatchObject({ code: 'too_many_tensors', message: expect.stringMatching(/more than 65536/) });
  });

  test('hints name the way out', async () => {
    const folder = tempFolder({
      'lfs.safetensors': CORPUS.find(([name]) => name === 'Git LFS pointer')![1],
      'html.safetensors': '\n<html>',
    });
    const hint = async (name: string): Promise<string> =>
      openOnce(join(folder, name)).then(
        () => '',
        (error: { place: { hint: string } }) => error.place.hint,
      );
    expect(await hint('lfs.safetensors')).toMatch(/run git lfs pull/);
    expect(await hint('html.safetensors')).toMatch(/gated.*accept its licence/);
  });

  test.each<[string, Uint8Array, readonly string[]]>([
    ['{} holds no tensors', file('{}'), []],
    ['trailing spaces', file('{}        '), []],
    ['space inside', file(`{ "a" : ${entry('U8', '[ 1 ]', '[ 0 , 1 ]')} }`, 1), ['a']],
    ['a scalar', one('F32', '[]', '[0,4]', 4), ['a']],
    [
      'empty tensors anywhere',
      file(
        `{"a":${entry('F32', '[0]', '[0,0]')},"b":${entry('U8', '[2]', '[0,2]')},"c":${entry('F32', '[3,0]', '[2,2]')}}`,
        2,
      ),
      ['a', 'b', 'c'],
    ],
    [
      'hostile names stay names',
      file(
        `{"__proto__":${entry('U8', '[1]', '[0,1]')},"../../x":${entry('U8', '[1]', '[1,2]')},"a\\u0000b":${entry('U8', '[1]', '[2,3]')},"7":${entry('U8', '[1]', '[3,4]')}}`,
        4,
      ),
      ['__proto__', '../../x', 'a\0b', '7'],
    ],
    ['a header of 35,615 bytes, which spells the magic of gzip', file(`{}${' '.repeat(35_613)}`), []],
  ])('accepted: %s', async (_, bytes, names) => {
    const opened = await openSafetensors(join(tempFolder({ 'good.safetensors': bytes }), 'good.safetensors'));
    expect([...opened.tensors.keys()]).toEqual(names);
    for (const data of opened.tensors.values()) expect(await readBytes(data)).toHaveLength(data.byteLength);
    await opened.checkUnchanged();
    await opened.close();
  });
});

test('range reads equal slices of the whole', async () => {
  const bytes = new Uint8Array(randomBytes(4096));
  const folder = tempFolder();
  const path = join(folder, 'x.safetensors');
  await writeSafetensors(path, [
    { name: 'odd', data: bytesData('u8', [3], bytes.slice(0, 3)) },
    { name: 'x', data: bytesData('f32', [32, 32], bytes) },
  ]);
  const opened = await openSafetensors(path);
  const data = opened.tensors.get('x')!;
  const word = fc.nat(1024);
  await fc.assert(
    fc.asyncProperty(word, word, fc.integer({ min: 8, max: 5000 }), async (x, y, maxBytes) => {
      const [begin, end] = [Math.min(x, y) * 4, Math.max(x, y) * 4];
      const chunks: Uint8Array[] = [];
      for await (const chunk of data.chunks({ begin, end, maxBytes })) {
        expect(chunk.byteLength).toBeLessThanOrEqual(maxBytes);
        expect(chunk.byteLength % 4).toBe(0);
        expect(chunk.buffer.byteLength).toBe(chunk.byteLength); // the consumer may transfer it
        chunks.push(chunk);
      }
      expect(Buffer.concat(chunks).equals(bytes.subarray(begin, end))).toBe(true);
    }),
  );
  for (const range of [{ begin: -4 }, { end: 4100 }, { begin: 8, end: 4 }])
    await expect(readBytes(data, range)).rejects.toThrow(RangeError);
  await opened.close();
});

test('what is written is read back, by this reader and by an independent one', async () => {
  const folder = tempFolder();
  const path = join(folder, 'x.safetensors');
  const dtypes = Object.values(SAFETENSORS_DTYPES) as DType[];
  const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
  const name = fc.string({ unit: 'grapheme-composite', maxLength: 6 }).filter((text) => text !== '__metadata__');
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.record({ name, shape, dtype: fc.constantFrom(...dtypes) }), {
        selector: (t) => t.name,
        maxLength: 6,
      }),
      fc.dictionary(name, fc.string()),
      async (entries, metadata) => {
        const tensors = entries.map(({ name, shape, dtype }, i) => ({
          name,
          data: tensorData(
            tensorOf(
              dtype,
              shape,
              Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, j) => (i * 7 + j) % 3),
            ),
          ),
        }));
        await writeSafetensors(path, tensors, metadata);
        const opened = await openSafetensors(path);
        expect(Object.fromEntries(opened.metadata)).toEqual({ ...metadata });
        expect(opened.tensors.size).toBe(tensors.length);
        for (const { name, data } of tensors) {
          const back = opened.tensors.get(name)!;
          expect({ dtype: back.dtype, shape: back.shape }).toEqual({ dtype: data.dtype, shape: data.shape });
          expect(await readBytes(back)).toEqual(await readBytes(data));
          if (back.byteLength > 0)
            expect(back.from!.byteOffset % Math.max(1, back.byteLength / back.shape.reduce((n, d) => n * d, 1))).toBe(
              0,
            );
        }
        await opened.close();
      },
    ),
    { numRuns: 50 },
  );
  await writeSafetensors(path, [{ name: 'w', data: tensorData(tensorOf('f32', [2], [1.5, -2])) }], { format: 'pt' });
  expect([...new Float32Array(independentReader(path).getTensor('w').slice().buffer)]).toEqual([1.5, -2]);
  expect(statSync(path).size % 8).toBe(0);
});

test('the writer refuses what the format cannot hold, and leaves nothing behind', async () => {
  const folder = tempFolder({ 'x.safetensors': 'old' });
  const path = join(folder, 'x.safetensors');
  const data = tensorData(tensorOf('f32', [1], [1]));
  const lying = { ...data, byteLength: 8, shape: [2] };
  await expect(
    writeSafetensors(path, [
      { name: 'a', data },
      { name: 'a', data },
    ]),
  ).rejects.toThrow(/twice/);
  await expect(writeSafetensors(path, [{ name: '__metadata__', data }])).rejects.toThrow(/reserved/);
  await expect(writeSafetensors(path, [{ name: 'a', data: tensorData(tensorOf('i4', [2], [1, 2])) }])).rejects.toThrow(
    /no i4/,
  );
  await expect(writeSafetensors(path, [{ name: 'a', data: lying }])).rejects.toThrow(/4 bytes of 8/);
  await expect(writeSafetensors(join(folder, 'absent', 'x'), [])).rejects.toMatchObject({
    name: 'OutputError',
    code: 'cannot_write',
  });
  expect(readFileSync(path, 'utf8')).toBe('old');
});

test('fixtures read the same with an independent reader', async () => {
  for (const name of [
    'pg1-tiny/golden.safetensors',
    'pg1-tiny/hf/model-00001-of-00004.safetensors',
    'preprocess/pixels.safetensors',
  ]) {
    const path = join(FIXTURES, name);
    const independent = independentReader(path);
    const opened = await openSafetensors(path);
    expect(opened.tensors.size).toBeGreaterThan(0);
    for (const [key, data] of opened.tensors) {
      expect(Buffer.compare(await readBytes(data), independent.getTensor(key))).toBe(0);
      expect(data.from).toEqual({ file: path, key, byteOffset: independent.metadata.get(key)!.data_offsets[0] });
    }
    await opened.close();
  }
});

test('tensors beyond 4 GiB are read at their end', async () => {
  const path = join(tempFolder(), 'big.safetensors');
  const count = 1_200_000_000;
  const json = `{"big":${entry('F32', `[${count}]`, `[0,${count * 4}]`)},"small":${entry('F32', '[1]', `[${count * 4},${count * 4 + 4}]`)}}`;
  writeFileSync(path, file(json));
  const fd = openSync(path, 'r+');
  const end = 8 + json.length + count * 4 + 4;
  ftruncateSync(fd, end);
  writeSync(fd, new Float32Array([1.25, 2.5]), 0, 8, end - 8);
  closeSync(fd);
  const opened = await openSafetensors(path);
  const big = opened.tensors.get('big')!;
  expect([...new Float32Array((await readBytes(big, { begin: count * 4 - 8 })).buffer)]).toEqual([0, 1.25]);
  expect([...(await readTensor(opened.tensors.get('small')!)).data]).toEqual([2.5]);
  await opened.close();
});
