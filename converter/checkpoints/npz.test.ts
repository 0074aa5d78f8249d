import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readBytes, readTensor } from '../../ir/tensor.ts';
import { combineCrc32 } from './crc32.ts';
import { openNpz } from './npz.ts';
import { openSafetensors } from './safetensors.ts';
import { expectRefusal, type Refusal } from './testing/expect_refusal.ts';
import {
  makeNpy,
  makeZip,
  npyLiteral,
  zipCentralHeader,
  zipEnd,
  zipLocalHeader,
  type MemberSpec,
} from './testing/make_zip.ts';
import { tempFolder } from './testing/temp_folder.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');
const FOUR = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
const GOOD = makeNpy(npyLiteral('<f4', '(4,)'), FOUR);

const npz = (array: Uint8Array, member: Partial<MemberSpec> = {}): Buffer =>
  makeZip([{ name: 'params/a.npy', data: array, ...member }]);
const npy = (descr: string, shape: string, data: Uint8Array = FOUR): Buffer =>
  npz(makeNpy(npyLiteral(descr, shape), data));
const literal = (header: string): Buffer => npz(makeNpy(header, FOUR));
/** `params/a.npy` begins behind its local header of 42 bytes; the literal 10 bytes later. */
const DATA = 42;
const LITERAL = 52;
const a = { tensor: 'params/a' };
const bad = (message: RegExp, more: Partial<Refusal> = {}): Refusal => ({ code: 'bad_npy', message, ...a, ...more });
const zip = (message: RegExp, more: Partial<Refusal> = {}): Refusal => ({ code: 'bad_zip', message, ...more });

/** `b.npy` lies whole in the data of `a.npy`. */
function nested(): Buffer {
  const inner = Buffer.concat([
    zipLocalHeader(
      { name: 'b.npy', flags: 0, method: 0, crc: crc32(GOOD), size: GOOD.byteLength, compressedSize: GOOD.byteLength },
      false,
    ),
    GOOD,
  ]);
  const outer = makeNpy(npyLiteral('|u1', `(${inner.byteLength},)`), inner);
  const offset = 30 + 'a.npy'.length + outer.byteLength - inner.byteLength;
  const a = {
    name: 'a.npy',
    flags: 0,
    method: 0,
    crc: crc32(outer),
    size: outer.byteLength,
    compressedSize: outer.byteLength,
    localOffset: 0,
  };
  const b = {
    name: 'b.npy',
    flags: 0,
    method: 0,
    crc: crc32(GOOD),
    size: GOOD.byteLength,
    compressedSize: GOOD.byteLength,
    localOffset: offset,
  };
  const start = Buffer.concat([zipLocalHeader(a, false), outer]);
  const directory = Buffer.concat([zipCentralHeader(a, undefined), zipCentralHeader(b, undefined)]);
  return Buffer.concat([start, directory, zipEnd(2, directory.byteLength, start.byteLength)]);
}

const CORPUS: readonly (readonly [string, Uint8Array, Refusal])[] = [
  [
    'dtype |O',
    npy('|O', '(4,)'),
    { code: 'pickle_refused', message: /object array is a Python pickle/, ...a, offset: LITERAL },
  ],
  [
    'structured dtype',
    literal("{'descr': [('a', '<f4'), ('b', '<f4', (2,))], 'fortran_order': False, 'shape': (2,), }"),
    { code: 'unsupported_dtype', message: /structured dtype/, ...a, offset: LITERAL },
  ],
  [
    'dtype <f8',
    npy('<f8', '(2,)'),
    { code: 'unsupported_dtype', message: /'<f8' is not supported; supported are <f4, <f2, <V2/, ...a },
  ],
  ['dtype >V2', npy('>V2', '(8,)'), { code: 'unsupported_dtype', message: /'>V2' is not supported/, ...a }],
  ['dtype |V4', npy('|V4', '(4,)'), { code: 'unsupported_dtype', message: /'\|V4' is not supported/, ...a }],
  [
    'dtype =f4, which depends on the machine',
    npy('=f4', '(4,)'),
    { code: 'unsupported_dtype', message: /'=f4' is not supported/, ...a },
  ],
  ['dtype <U4', npy('<U4', '(1,)'), { code: 'unsupported_dtype', message: /'<U4' is not supported/, ...a }],
  [
    'shape 2^40',
    npy('<f4', '(1099511627776,)'),
    {
      code: 'file_truncated',
      message: /expected 4398046511104 bytes for f32\(1099511627776\), the member has 16/,
      ...a,
      offset: DATA + GOOD.byteLength,
    },
  ],
  ['shape 2^53', npy('<f4', '(9007199254740992,)'), bad(/dimension 9007199254740992 is beyond/)],
  ['shape that overflows', npy('<f4', '(4194305, 4194305, 211106198978564)'), bad(/more than 2\^53 - 1 bytes/)],
  [
    'negative shape',
    npy('<f4', '(-4,)'),
    bad(/expected an unsigned integer in shape, found "-4,\)/, { offset: LITERAL + 51 }),
  ],
  ['expression in shape', npy('<f4', '(2*2,)'), bad(/expected an unsigned integer in shape, found "2\*2,\)/)],
  [
    'call in shape',
    npy('<f4', '(__import__("os").system("true"),)'),
    bad(/expected an unsigned integer in shape, found "__import__/),
  ],
  ['float in shape', npy('<f4', '(4.0,)'), bad(/expected an unsigned integer/)],
  ['long integer in shape', npy('<f4', '(4L,)'), bad(/expected an unsigned integer/)],
  ['leading zero in shape', npy('<f4', '(04,)'), bad(/expected an unsigned integer/)],
  ['shape without comma', npy('<f4', '(4)'), bad(/expected ","/)],
  ['shape a list', npy('<f4', '[4]'), bad(/shape must be a tuple/)],
  ['shape of 65 axes', npy('<f4', `(${'1, '.repeat(65)})`), bad(/65 axes; at most 64/)],
  ['fortran_order a number', literal(npyLiteral('<f4', '(4,)', '0')), bad(/found "0/)],
  ['missing key', literal("{'descr': '<f4', 'shape': (4,), }"), bad(/fortran_order must be/)],
  [
    'unknown key',
    literal("{'descr': '<f4', 'x': True, 'fortran_order': False, 'shape': (4,), }"),
    bad(/unknown key 'x'/, { offset: LITERAL + 17 }),
  ],
  [
    'duplicate key',
    literal("{'descr': '<f4', 'descr': '|O', 'fortran_order': False, 'shape': (4,), }"),
    bad(/duplicate key 'descr'/),
  ],
  ['escape in a string', literal(npyLiteral('<f\\x34', '(4,)')), bad(/without escapes/)],
  ['text behind the dict', literal(`${npyLiteral('<f4', '(4,)')}, 1`), bad(/text follows/)],
  ['unterminated header', literal("{'descr': '<f4"), bad(/string without escapes that ends/)],
  [
    'header of 20 kB',
    npz(makeNpy(npyLiteral('<f4', '(4,)') + ' '.repeat(20_000), FOUR)),
    bad(/header claims 20\d{3} bytes; at most 10000/, { offset: DATA + 8 }),
  ],
  [
    'header of 4 GB',
    npz(Buffer.concat([Buffer.from('\u0093NUMPY\u0002\u0000\u00ff\u00ff\u00ff\u00ff', 'latin1'), FOUR])),
    bad(/claims 4294967295 bytes/),
  ],
  [
    'npy version 4',
    npz(Buffer.concat([Buffer.from('\u0093NUMPY\u0004\u0000', 'latin1'), FOUR])),
    bad(/version 4\.0/, { offset: DATA + 6 }),
  ],
  ['no npy at all', npz(Buffer.from('not an array')), bad(/magic/, { offset: DATA })],
  ['npy of 8 bytes', npz(GOOD.subarray(0, 8)), bad(/ends inside its header/)],
  [
    'npy cut in its header',
    npz(GOOD.subarray(0, 40)),
    { code: 'file_truncated', message: /expected a header of \d+ bytes, the member has 40/, ...a },
  ],
  [
    'one byte short',
    npz(GOOD.subarray(0, -1)),
    { code: 'file_truncated', message: /expected 16 bytes for f32\(4\), the member has 15/, ...a },
  ],
  [
    'trailing bytes in a member',
    npz(Buffer.concat([GOOD, Buffer.alloc(3)])),
    bad(/3 bytes follow f32\(4\)/, { offset: DATA + GOOD.byteLength }),
  ],
  [
    'trailing bytes behind the archive',
    Buffer.concat([npz(GOOD), Buffer.alloc(5)]),
    zip(/5 trailing bytes/, { offset: npz(GOOD).byteLength }),
  ],
  ['truncated archive', npz(GOOD).subarray(0, -30), zip(/truncated: expected an end of central directory/)],
  ['empty archive', makeZip([]), { code: 'not_npz', message: /no \.npy arrays among its 0 members/ }],
  ['empty file', new Uint8Array(), { code: 'file_truncated', message: /empty/, offset: 0 }],
  ['no archive', GOOD, { code: 'unsupported_format', message: /a single \.npy array/ }],
  ['text', Buffer.from('something else'), { code: 'not_npz', message: /not a zip archive/ }],
  [
    'PyTorch archive',
    makeZip([
      { name: 'archive/data.pkl', data: FOUR },
      { name: 'archive/data/0', data: FOUR },
    ]),
    { code: 'pickle_refused', message: /PyTorch pickle/ },
  ],
  [
    'zip64 without its extra field',
    npz(GOOD, { centralZip64: 'without extra' }),
    zip(/left to the zip64 extra field, which is missing/, a),
  ],
  [
    'zip64 end record missing',
    ((bytes) => (bytes.writeUInt16LE(0xffff, bytes.byteLength - 12), bytes))(npz(GOOD)),
    zip(/zip64 end record is missing/),
  ],
  [
    'local header with another name',
    npz(GOOD, { local: { name: 'params/b.npy' } }),
    zip(/local header says name "params\/b\.npy", the central directory "params\/a\.npy"/, { ...a, offset: 0 }),
  ],
  [
    'local header with another size',
    npz(GOOD, { local: { size: 3 } }),
    zip(/local header says size 3, the central directory 144/, { offset: 0 }),
  ],
  ['local header with another CRC', npz(GOOD, { local: { crc: 7 } }), zip(/local header says CRC 7/, { offset: 0 })],
  [
    'local header with another method',
    npz(GOOD, { local: { method: 8 } }),
    zip(/local header says method deflated, the central directory stored/),
  ],
  ['encrypted', npz(GOOD, { stated: { flags: 1 } }), zip(/encrypted/)],
  ['encrypted by the local header only', npz(GOOD, { local: { flags: 1 } }), zip(/encrypted yes/)],
  [
    'method 12 (bzip2)',
    npz(GOOD, { stated: { method: 12 } }),
    zip(/method 12 is not supported; supported are 0 \(stored\) and 8/),
  ],
  [
    'duplicate entries',
    makeZip([
      { name: 'a.npy', data: GOOD },
      { name: 'a.npy', data: GOOD },
    ]),
    zip(/two members "a\.npy"/, { tensor: 'a' }),
  ],
  ...['../x.npy', '/x.npy', 'C:\\x.npy', '\\\\host\\x.npy', 'a/../x.npy', './x.npy', 'a\0.npy'].map(
    (name) =>
      [
        `entry ${JSON.stringify(name)}`,
        makeZip([{ name, data: GOOD }]),
        zip(/would leave its folder/, { tensor: name.slice(0, -4) }),
      ] as const,
  ),
  [
    'member at an offset outside',
    npz(GOOD, { stated: { localOffset: 1_000_000 } }),
    zip(/local header is said to be at 1000000/),
  ],
  [
    'member longer than the file',
    npz(GOOD, { stated: { size: 5000, compressedSize: 5000 } }),
    zip(/claims 5000 bytes, beyond the central directory/),
  ],
  ['members that share their bytes', nested(), zip(/overlaps "a\.npy"/, { tensor: 'b' })],
  [
    'count larger than the directory',
    makeZip([{ name: 'a.npy', data: GOOD }], { count: 2 }),
    zip(/has 1 of 2 members/),
  ],
  [
    'count smaller than the directory',
    makeZip(
      [
        { name: 'a.npy', data: GOOD },
        { name: 'b.npy', data: GOOD },
      ],
      { count: 1 },
    ),
    zip(/bytes follow the 1 members/),
  ],
  ['stored member with two sizes', npz(GOOD, { stated: { size: 10 } }), zip(/stored member has sizes 144 and 10/)],
  [
    'deflated size that no deflate reaches',
    npz(GOOD, { deflate: true, stated: { size: 2 ** 31 } }),
    zip(/cannot inflate to the 2147483648/),
  ],
];

async function openOnce(path: string): Promise<void> {
  await (await openNpz(path)).close();
}

async function readAll(path: string, scratchDir?: string): Promise<void> {
  const opened = await openNpz(path, scratchDir === undefined ? {} : { scratchDir });
  try {
    for (const data of opened.tensors.values()) await readBytes(data);
    await opened.checkUnchanged();
  } finally {
    await opened.close();
  }
}

const put = (bytes: Uint8Array): string => join(tempFolder({ 'x.npz': bytes }), 'x.npz');

describe('corpus', () => {
  test.each(CORPUS)('%s', async (_, bytes, refusal) => {
    const path = put(bytes);
    await expectRefusal(() => openOnce(path), path, refusal);
  });

  const damagedCrc = { stated: { crc: 1 } };
  test.each<[string, Uint8Array, Refusal]>([
    [
      'CRC mismatch, stored',
      npz(GOOD, damagedCrc),
      { code: 'crc_mismatch', message: /CRC-32 mismatch: the archive says 00000001/, ...a, offset: DATA },
    ],
    [
      'CRC mismatch, deflated',
      npz(GOOD, { deflate: true, ...damagedCrc }),
      { code: 'crc_mismatch', message: /CRC-32 mismatch/, ...a, offset: DATA },
    ],
    [
      'deflate bomb behind a small size',
      npz(GOOD, { deflate: true, compressed: deflateRawSync(Buffer.concat([GOOD, Buffer.alloc(200_000_000)])) }),
      zip(/inflates to more than the 144 bytes/, a),
    ],
    [
      'deflated data too short',
      npz(makeNpy(npyLiteral('<f4', '(40,)'), new Uint8Array(160)), {
        deflate: true,
        compressed: deflateRawSync(makeNpy(npyLiteral('<f4', '(40,)'), FOUR)),
      }),
      zip(/inflates to 144 of the 288 bytes/, a),
    ],
    [
      'bytes behind the deflated data',
      npz(GOOD, { deflate: true, compressed: Buffer.concat([deflateRawSync(GOOD), Buffer.alloc(7)]) }),
      zip(/7 bytes follow the compressed data/, a),
    ],
  ])('%s', async (_, bytes, refusal) => {
    const path = put(bytes);
    await expectRefusal(() => readAll(path), path, refusal);
  });

  test('damaged and cut deflate streams', async () => {
    const array = makeNpy(npyLiteral('<f4', '(5000,)'), new Uint8Array(randomBytes(20_000)));
    const compressed = deflateRawSync(array);
    const cut = put(npz(array, { deflate: true, compressed: compressed.subarray(0, -100) }));
    await expectRefusal(() => readAll(cut), cut, zip(/compressed data is damaged|inflates to \d+ of/, a));
    const flipped = put(
      npz(array, { deflate: true, compressed: compressed.map((byte, i) => (i === 10_000 ? byte ^ 1 : byte)) }),
    );
    expect(await readAll(flipped).catch((error: unknown) => error)).toMatchObject({
      name: 'BadInputError',
      code: expect.stringMatching(/^(bad_zip|crc_mismatch)$/),
    });
  });

  test('a flipped bit in a part that was not read is found by checkUnchanged, in an array that was not read it is not looked for', async () => {
    const array = makeNpy(npyLiteral('<f4', '(1000,)'), new Uint8Array(4000));
    const bytes = makeZip([
      { name: 'a.npy', data: array },
      { name: 'b.npy', data: array },
    ]);
    bytes[3000] = 1;
    const opened = await openNpz(put(bytes));
    await readBytes(opened.tensors.get('b')!);
    await opened.checkUnchanged();
    await readBytes(opened.tensors.get('a')!, { begin: 0, end: 400 });
    await expect(opened.checkUnchanged()).rejects.toMatchObject({ code: 'crc_mismatch', place: { tensor: 'a' } });
    await opened.close();
  });

  test('arrays beside params/ that cannot be read are left out with a warning', async () => {
    const opened = await openNpz(
      put(
        makeZip([
          { name: 'params/a.npy', data: GOOD },
          { name: 'chrono/time.npy', data: makeNpy(npyLiteral('<f8', '()'), new Uint8Array(8)) },
          { name: 'README', data: FOUR },
        ]),
      ),
    );
    expect([...opened.tensors.keys()]).toEqual(['params/a']);
    expect(opened.warnings).toEqual([
      expect.stringMatching(/"chrono\/time.npy".*left out.*<f8/),
      expect.stringMatching(/"README" is no \.npy array/),
    ]);
    await opened.close();
  });

  test('a name of another system, control characters or 64 kB does not break messages', async () => {
    const path = put(makeZip([{ name: `\u001b[31m${'x'.repeat(60_000)}.npy`, data: Buffer.alloc(4) }]));
    const error = await expectRefusal(() => openOnce(path), path, { code: 'bad_npy', message: /magic/ });
    expect(error.describe().join()).not.toContain('\u001b');
  });
});

describe('layouts', () => {
  const read = async (bytes: Uint8Array): Promise<number[]> => {
    const opened = await openNpz(put(bytes));
    const tensor = await readTensor([...opened.tensors.values()][0]!);
    await opened.checkUnchanged();
    await opened.close();
    return [...tensor.data];
  };
  const swap = (bytes: Uint8Array, size: number): Uint8Array => {
    const out = Buffer.from(bytes);
    return size === 2 ? out.swap16() : size === 4 ? out.swap32() : out.swap64();
  };

  test.each<[string, number[], Uint8Array]>([
    ['<f4', [1, 2, 3, 4], FOUR],
    ['>f4', [1, 2, 3, 4], swap(FOUR, 4)],
    ['<f2', [1, -2], Uint8Array.of(0, 0x3c, 0, 0xc0)],
    ['>f2', [1, -2], Uint8Array.of(0x3c, 0, 0xc0, 0)],
    ['<V2', [1, -2, 3.140625], Uint8Array.of(0x80, 0x3f, 0, 0xc0, 0x49, 0x40)],
    ['|V2', [1, -2, 3.140625], Uint8Array.of(0x80, 0x3f, 0, 0xc0, 0x49, 0x40)],
    ['|i1', [-1, 2], Uint8Array.of(255, 2)],
    ['|u1', [255, 2], Uint8Array.of(255, 2)],
    ['|b1', [1, 0], Uint8Array.of(1, 0)],
    ['<i4', [-5, 7], new Uint8Array(new Int32Array([-5, 7]).buffer)],
    ['>i4', [-5, 7], swap(new Uint8Array(new Int32Array([-5, 7]).buffer), 4)],
    ['<i8', [-5, 7], new Uint8Array(new BigInt64Array([-5n, 7n]).buffer)],
    ['>i8', [-5, 7], swap(new Uint8Array(new BigInt64Array([-5n, 7n]).buffer), 8)],
  ])('%s', async (descr, values, data) => {
    for (const version of [1, 2, 3] as const)
      expect(await read(npz(makeNpy(npyLiteral(descr, `(${values.length},)`), data, version)))).toEqual(values);
    expect(await read(npz(makeNpy(npyLiteral(descr, `(${values.length}, 1)`), data), { deflate: true }))).toEqual(
      values,
    );
  });

  test('Fortran order, big-endian, is C order after reading', async () => {
    // [[0, 1, 2], [3, 4, 5]] column by column
    const columns = swap(new Uint8Array(new Float32Array([0, 3, 1, 4, 2, 5]).buffer), 4);
    for (const deflate of [false, true])
      expect(await read(npz(makeNpy(npyLiteral('>f4', '(2, 3)', 'True'), columns), { deflate }))).toEqual([
        0, 1, 2, 3, 4, 5,
      ]);
    expect(await read(npz(makeNpy(npyLiteral('<f4', '(4,)', 'True'), FOUR)))).toEqual([1, 2, 3, 4]);
    expect(await read(npz(makeNpy(npyLiteral('<f4', '(0, 4)', 'True'), new Uint8Array())))).toEqual([]);
    const cube = new Float32Array(24);
    for (let i = 0; i < 2; i++)
      for (let j = 0; j < 3; j++) for (let k = 0; k < 4; k++) cube[i + 2 * (j + 3 * k)] = 100 * i + 10 * j + k;
    expect(
      (await read(npz(makeNpy(npyLiteral('<f4', '(2, 3, 4)', 'True'), new Uint8Array(cube.buffer))))).slice(10, 14),
    ).toEqual([22, 23, 100, 101]);
  });

  test.each<[string, Uint8Array]>([
    ['local zip64 only, as numpy writes', npz(GOOD, { localZip64: true })],
    [
      'zip64 everywhere',
      makeZip([{ name: 'a.npy', data: GOOD, localZip64: true, centralZip64: 'with extra' }], { zip64: true }),
    ],
    [
      'sizes in a data descriptor',
      makeZip([
        {
          name: 'a.npy',
          data: Buffer.concat([GOOD]),
          stated: { flags: 8 },
          local: { crc: 0, size: 0, compressedSize: 0 },
        },
      ]),
    ],
    ['comments', makeZip([{ name: 'a.npy', data: GOOD, comment: 'PK\u0005\u0006' }], { comment: 'made by hand' })],
    [
      'a folder entry',
      makeZip([
        { name: 'params/', data: new Uint8Array() },
        { name: 'params/a.npy', data: GOOD },
      ]),
    ],
    ['double quotes in the header', npz(makeNpy(npyLiteral('<f4', '(4,)').replaceAll("'", '"'), FOUR))],
    ['keys in another order, no spaces', npz(makeNpy("{'shape':(2,2),'fortran_order':False,'descr':'<f4'}", FOUR))],
  ])('accepted: %s', async (_, bytes) => expect(await read(bytes)).toEqual([1, 2, 3, 4]));

  test('a scalar', async () =>
    expect(await read(npz(makeNpy(npyLiteral('<f4', '()'), FOUR.subarray(4, 8))))).toEqual([2]));
});

test.each([false, true])(
  'range reads equal slices of the whole (deflated: %s), and count for the CRC in any order',
  async (deflate) => {
    const bytes = new Uint8Array(randomBytes(4096)).map((byte, i) => (i % 3 === 0 ? byte : 0));
    const path = put(makeZip([{ name: 'x.npy', data: makeNpy(npyLiteral('<f4', '(32, 32)'), bytes), deflate }]));
    const word = fc.nat(1024);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(word, word, fc.integer({ min: 8, max: 5000 })), { maxLength: 6 }),
        async (ranges) => {
          const opened = await openNpz(path);
          const data = opened.tensors.get('x')!;
          await Promise.all(
            ranges.map(async ([x, y, maxBytes]) => {
              const [begin, end] = [Math.min(x, y) * 4, Math.max(x, y) * 4];
              const chunks: Uint8Array[] = [];
              for await (const chunk of data.chunks({ begin, end, maxBytes })) {
                expect(chunk.byteLength).toBeLessThanOrEqual(maxBytes);
                chunks.push(chunk);
              }
              expect(Buffer.concat(chunks).equals(bytes.subarray(begin, end))).toBe(true);
            }),
          );
          await opened.checkUnchanged();
          await opened.close();
        },
      ),
      { numRuns: 40 },
    );
  },
);

test('deflated arrays leave nothing in the scratch folder', async () => {
  const scratch = tempFolder();
  await readAll(join(FIXTURES, 'pg1-tiny/bv_f16_deflate.npz'), scratch);
  expect(readdirSync(scratch)).toEqual([]);
  const path = put(npz(GOOD, { deflate: true }));
  await expect(readAll(path, join(scratch, 'absent'))).rejects.toMatchObject({
    name: 'OutputError',
    code: 'scratch_failed',
    place: { hint: expect.stringMatching(/TMPDIR/) },
  });
});

test('every fixture reads; f32 equals the Hugging Face weights, bf16 and f16 are their roundings', async () => {
  const key = 'params/llm/embedder/input_embedding';
  const hf = await openSafetensors(join(FIXTURES, 'pg1-tiny/hf/model-00001-of-00004.safetensors'));
  const expected = (await readTensor(hf.tensors.get('language_model.model.embed_tokens.weight')!)).data;
  for (const [name, dtype, error] of [
    ['bv_f32', 'f32', 0],
    ['bv_bf16', 'bf16', 2 ** -8],
    ['bv_f16_deflate', 'f16', 2 ** -11],
  ] as const) {
    const opened = await openNpz(join(FIXTURES, `pg1-tiny/${name}.npz`));
    expect(opened.tensors.size).toBe(32);
    for (const data of opened.tensors.values()) {
      expect(data.dtype).toBe(dtype);
      expect(await readBytes(data)).toHaveLength(data.byteLength);
    }
    const { data, shape } = await readTensor(opened.tensors.get(key)!);
    expect(shape).toEqual([512, 64]);
    expect(
      data.every((value, i) => Math.abs(value - expected[i]!) <= error * Math.abs(expected[i]!) + (error && 2 ** -24)),
    ).toBe(true);
    await opened.checkUnchanged();
    await opened.close();
  }
  await hf.close();
});

test('members and offsets beyond 4 GiB', async () => {
  const path = join(tempFolder(), 'big.npz');
  const count = 1_200_000_000;
  const header = makeNpy(npyLiteral('<f4', `(${count},)`), new Uint8Array());
  const size = header.byteLength + count * 4;
  const last = new Uint8Array(new Float32Array([1.25]).buffer);
  let crc = crc32(header);
  for (const [bits, n] of [...(count * 4 - 4).toString(2)].toReversed().map((bit, i) => [bit, i] as const))
    if (bits === '1') crc = combineCrc32(crc, crcOfZeros(n), 2 ** n);
  crc = combineCrc32(crc, crc32(last), 4);
  const big = { name: 'big.npy', flags: 0, method: 0, crc, size, compressedSize: size, localOffset: 0 };
  const bigHeader = zipLocalHeader(big, true);
  const smallOffset = bigHeader.byteLength + size;
  const small = {
    name: 'small.npy',
    flags: 0,
    method: 0,
    crc: crc32(GOOD),
    size: GOOD.byteLength,
    compressedSize: GOOD.byteLength,
    localOffset: smallOffset,
  };
  const smallHeader = zipLocalHeader(small, true);
  const directory = Buffer.concat([zipCentralHeader(big, 'with extra'), zipCentralHeader(small, 'with extra')]);
  const directoryOffset = smallOffset + smallHeader.byteLength + GOOD.byteLength;
  const tail = Buffer.concat([
    last,
    smallHeader,
    GOOD,
    directory,
    zipEnd(2, directory.byteLength, directoryOffset, true),
  ]);
  const fd = openSync(path, 'w');
  ftruncateSync(fd, smallOffset - 4 + tail.byteLength);
  writeSync(fd, Buffer.concat([bigHeader, header]), 0, undefined, 0);
  writeSync(fd, tail, 0, undefined, smallOffset - 4);
  closeSync(fd);
  const opened = await openNpz(path);
  const data = opened.tensors.get('big')!;
  expect(data.byteLength).toBe(count * 4);
  expect([...new Float32Array((await readBytes(data, { begin: count * 4 - 8 })).buffer)]).toEqual([0, 1.25]);
  expect([...(await readTensor(opened.tensors.get('small')!)).data]).toEqual([1, 2, 3, 4]);
  await opened.close();
});

/** CRC-32 of 2^n zero bytes. */
function crcOfZeros(n: number): number {
  let crc = crc32(new Uint8Array(1));
  for (let i = 0; i < n; i++) crc = combineCrc32(crc, crc, 2 ** i);
  return crc;
}
