import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { openCheckpoint } from './index.ts';
import { expectRefusal } from './testing/expect_refusal.ts';
import { tempFolder } from './testing/temp_folder.ts';

const NPZ = readFileSync(join(import.meta.dirname, '../../fixtures/pg1-tiny/bv_bf16.npz'));
/** Where the last member of the central directory begins. */
const LAST = NPZ.lastIndexOf(Buffer.from('PK\u0001\u0002', 'latin1'));

async function expectDamaged(change: (bytes: Buffer) => void, message: RegExp, offset?: number): Promise<void> {
  const bytes = Buffer.from(NPZ);
  change(bytes);
  const path = join(tempFolder({ 'a.npz': bytes }), 'a.npz');
  const open = async () => (await openCheckpoint(path)).close();
  await expectRefusal(open, path, { code: 'bad_zip', message, ...(offset !== undefined && { offset }) });
}

describe('the last member of a central directory', () => {
  it.each([
    ['name', 28],
    ['extra fields', 30],
    ['comment', 32],
  ])('whose %s reaches beyond the end is refused', (_, field) =>
    expectDamaged((bytes) => bytes.writeUInt16LE(60_000, LAST + field), /reaches beyond its end/, LAST),
  );

  it('that is none is refused', () =>
    expectDamaged((bytes) => bytes.writeUInt8(0x51, LAST), /the central directory has \d+ of \d+ members/, LAST));

  it('that is encrypted is refused', () =>
    expectDamaged((bytes) => bytes.writeUInt16LE(bytes.readUInt16LE(LAST + 8) | 1, LAST + 8), /encrypted/, LAST));
});
