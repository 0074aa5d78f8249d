import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeNpy, makeZip, npyLiteral, type MemberSpec } from '../../checkpoints/testing/make_zip.ts';
import { refused, taken, type HostileInput, type Outcome } from './entry.ts';

const FOUR = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
const GOOD = makeNpy(npyLiteral('<f4', '(4,)'), FOUR);

/** Of a weight, so that none is left out with a warning. */
const NAME = 'params/img/embedding/kernel';

const archive = (input: string, content: Uint8Array, outcome: Outcome): HostileInput => ({
  input,
  outcome,
  async make(dir) {
    const path = join(dir, 'model.npz');
    await writeFile(path, content);
    return ['inspect', path];
  },
});

const member = (input: string, array: Uint8Array, outcome: Outcome, more: Partial<MemberSpec> = {}) =>
  archive(input, makeZip([{ name: `${NAME}.npy`, data: array, ...more }]), outcome);
const npy = (input: string, header: string, outcome: Outcome) => member(input, makeNpy(header, FOUR), outcome);

/** Forms that are read: their values are those of npz.test.ts. */
const form = (input: string, words: string): HostileInput => ({
  input,
  outcome: taken(),
  by: ['converter/checkpoints/npz.test.ts', words],
});

export const NPZ_INPUTS: readonly HostileInput[] = [
  npy('the dtype `|O`', npyLiteral('|O', '(4,)'), refused('pickle_refused')),
  npy(
    'a structured dtype',
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }",
    refused('unsupported_dtype'),
  ),
  form('`|V2` and `<V2`: bf16', "['|V2', [1, -2, 3.140625]"),
  form('`>f4`: bytes are swapped', "['>f4', [1, 2, 3, 4], swap(FOUR, 4)]"),
  form('`fortran_order: True`', 'Fortran order, big-endian, is C order after reading'),
  npy('a shape of 2^40', npyLiteral('<f4', '(1099511627776,)'), refused('file_truncated')),
  npy('a negative shape', npyLiteral('<f4', '(-4,)'), refused('bad_npy')),
  npy('an expression as a shape', npyLiteral('<f4', '(2*2,)'), refused('bad_npy')),
  npy('a header of 20 kB', npyLiteral('<f4', '(4,)') + ' '.repeat(20_000), refused('bad_npy')),
  member('bytes behind an array', Buffer.concat([GOOD, Buffer.alloc(3)]), refused('bad_npy')),
  archive(
    'bytes behind the archive',
    Buffer.concat([makeZip([{ name: `${NAME}.npy`, data: GOOD }]), Buffer.alloc(5)]),
    refused('bad_zip'),
  ),
  member('deflate that states more than it can hold', GOOD, refused('bad_zip'), {
    deflate: true,
    stated: { size: 2 ** 31 },
  }),
  {
    input: 'deflate that holds more than it states: it stops there',
    outcome: refused('bad_zip'),
    by: ['converter/checkpoints/npz.test.ts', 'deflate bomb behind a small size'],
  },
  member('zip64 without its extra field', GOOD, refused('bad_zip'), { centralZip64: 'without extra' }),
  form('a member beyond 4 GB', 'members and offsets beyond 4 GiB'),
  member('headers that disagree', GOOD, refused('bad_zip'), { local: { size: 3 } }),
  member('a CRC of other bytes', GOOD, refused('bad_zip'), { local: { crc: 7 } }),
  {
    input: 'a CRC that both headers state, of other bytes',
    outcome: refused('crc_mismatch'),
    by: ['converter/checkpoints/npz.test.ts', 'CRC-32 mismatch: the archive says 00000001'],
  },
  archive(
    'an entry twice',
    makeZip([
      { name: 'a.npy', data: GOOD },
      { name: 'a.npy', data: GOOD },
    ]),
    refused('bad_zip'),
  ),
  member('an encrypted entry', GOOD, refused('bad_zip'), { stated: { flags: 1 } }),
  archive('the entry `../x.npy`', makeZip([{ name: '../x.npy', data: GOOD }]), refused('bad_zip')),
];
