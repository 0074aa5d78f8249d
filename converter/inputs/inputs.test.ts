import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { expectRefusal } from '../checkpoints/testing/expect_refusal.ts';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { BadInputError, InterruptedError } from '../errors.ts';
import type { InputFile } from './input_file.ts';
import { withInputs, type Inputs } from './inputs.ts';
import { BLOCK_BYTES } from './read_sums.ts';
import { inputsOfTests } from './testing/inputs_of_tests.ts';

const inputs = inputsOfTests();
const CONTENT = Buffer.alloc(200_000, 'some bytes of a file');

/** Flips a bit of a file, and puts its times back. */
function edit(path: string, at: number): void {
  const { atime, mtime } = statSync(path);
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.from([CONTENT[at]! ^ 1]), 0, 1, at);
  closeSync(file);
  utimesSync(path, atime, mtime);
}

/** A file whose times nobody asks for: the time of its last change is what no edit can put back. */
async function withoutTimes(): Promise<{ held: Inputs; file: InputFile; path: string }> {
  const path = join(tempFolder({ a: CONTENT }), 'a');
  const held = inputs();
  const file = await held.open(path);
  file.checkStats = async () => {};
  return { held, file, path };
}

test('all that was opened is looked at in the end', async () => {
  const folder = tempFolder({ a: CONTENT, b: CONTENT });
  const held = inputs();
  const [a, b] = [await held.open(join(folder, 'a')), await held.read(join(folder, 'b'))];
  expect(b.length).toBe(CONTENT.length);
  await held.checkUnchanged();
  expect(await held.open(join(folder, '.', 'a'))).toBe(a);
  edit(join(folder, 'b'), 5);
  await expectRefusal(() => held.checkUnchanged(), join(folder, 'b'), {
    code: 'file_changed',
    message: /its time of its last change \(ctime\) was|its modification time was/,
  });
});

test.each<[string, (path: string) => void, RegExp]>([
  ['gone', (path) => rmSync(path), /it is gone/],
  ['longer', (path) => appendFileSync(path, 'x'), /its size/],
  ['another', (path) => (writeFileSync(`${path}2`, CONTENT), renameSync(`${path}2`, path)), /its (?:inode|modif)/],
])('a file that is %s in the end, or when it is asked for again', async (_, change, message) => {
  const path = join(tempFolder({ a: CONTENT }), 'a');
  const held = inputs();
  await held.read(path);
  change(path);
  await expectRefusal(() => held.checkUnchanged(), path, { code: 'file_changed', message });
  await expectRefusal(() => held.open(path), path, { code: 'file_changed', message });
});

describe('where times say nothing, the bytes do', () => {
  const refusal = { code: 'file_changed', message: /what was read there is something else now/ };
  const blocks = (bytes: Uint8Array) =>
    Uint32Array.from([0, 1, 2, 3], (block) => crc32(bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)));

  test('read twice', async () => {
    const { file, path } = await withoutTimes();
    await file.read(0, 140_000);
    edit(path, 70_000);
    await expectRefusal(() => file.readInto(new Uint8Array(80_000), 60_000), path, { ...refusal, offset: 65_536 });
  });

  test('read, and edited since', async () => {
    const { file, held, path } = await withoutTimes();
    await file.read(69_000, 71_000);
    edit(path, 80_000);
    await held.checkUnchanged();
    edit(path, 70_000);
    await expectRefusal(() => held.checkUnchanged(), path, { ...refusal, offset: 69_000 });
  });

  test('read, edited, hashed, and edited back', async () => {
    const { file, held, path } = await withoutTimes();
    await file.read(0, CONTENT.length);
    await held.hashed(path, blocks(CONTENT));
    await held.checkUnchanged();
    const edited = Buffer.from(CONTENT);
    edited[199_999]! ^= 1;
    await held.hashed(path, blocks(edited));
    await expectRefusal(() => held.checkUnchanged(), path, { ...refusal, offset: 196_608 });
  });
});

test('no FIFO, socket, device or folder is read, and none is waited for', async () => {
  const folder = tempFolder();
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  const server = createServer().listen(join(folder, 'socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  for (const [path, kind] of [
    [join(folder, 'fifo'), /a FIFO/],
    [join(folder, 'socket'), /a socket/],
    ['/dev/zero', /a device/],
    [folder, /a folder/],
  ] as const)
    await expectRefusal(() => inputs().read(path), path, { code: 'not_a_file', message: kind });
  server.close();
});

test('a file of more bytes than are expected is not read', async () => {
  const path = join(tempFolder({ a: CONTENT }), 'a');
  await expectRefusal(() => inputs().read(path, 1000), path, { code: 'file_too_large', message: /200000 bytes/ });
  const bytes = join(tempFolder({ b: Buffer.from([0xff]) }), 'b');
  await expectRefusal(() => inputs().readText(bytes), bytes, { code: 'not_text', message: /UTF-8/ });
});

test('a run that reads: a change is told in the place of its result, and of what came of it', async () => {
  const run = (work: () => unknown) => {
    const path = join(tempFolder({ a: CONTENT }), 'a');
    return withInputs(async (held) => {
      await held.read(path);
      appendFileSync(path, 'x');
      return work();
    }).catch((error: unknown) => error);
  };
  const fail = (error: Error) => () => {
    throw error;
  };
  expect(await run(() => 'a result')).toMatchObject({ code: 'file_changed' });
  expect(await run(fail(new BadInputError('bad_header', 'x')))).toMatchObject({ code: 'file_changed' });
  expect(await run(fail(new InterruptedError()))).toBeInstanceOf(InterruptedError);
  expect(await withInputs(async () => 'fine')).toBe('fine');
});
