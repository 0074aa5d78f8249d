import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FilePool, type OpenFile, type PositionalFile } from './file_pool.ts';
import { InputFile } from './input_file.ts';
import { expectRefusal } from '../checkpoints/testing/expect_refusal.ts';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';

/** Files whose reads go through `read`. */
function faulty(
  read: (handle: PositionalFile, ...args: Parameters<PositionalFile['read']>) => ReturnType<PositionalFile['read']>,
): OpenFile {
  return async (path) => {
    const handle: PositionalFile = await open(path);
    return {
      read: (...args) => read(handle, ...args),
      stat: (options) => handle.stat(options),
      close: () => handle.close(),
    };
  };
}

const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

async function withFile<T>(
  openFile: OpenFile | undefined,
  action: (file: InputFile, path: string) => Promise<T>,
  content = CONTENT,
): Promise<T> {
  const path = join(tempFolder({ 'x.bin': content }), 'x.bin');
  const pool = new FilePool(openFile);
  try {
    return await action(await InputFile.open(path, pool), path);
  } finally {
    await pool.close();
  }
}

test('short reads are continued', () =>
  withFile(
    faulty((handle, buffer, offset, length, position) => handle.read(buffer, offset, Math.min(length, 7), position)),
    async (file) => {
      expect(await file.read(3, 999)).toEqual(CONTENT.slice(3, 999));
    },
  ));

test('a file that ends early is an error, never zeros', () =>
  withFile(
    faulty((handle, buffer, offset, length, position) =>
      handle.read(buffer, offset, Math.max(0, Math.min(length, 500 - position)), position),
    ),
    async (file, path) => {
      expect(await file.read(0, 500)).toEqual(CONTENT.slice(0, 500));
      await expectRefusal(() => file.read(400, 600), path, {
        code: 'file_truncated',
        message: /expected bytes up to 600, the file ends at 500/,
        offset: 500,
      });
    },
  ));

test('EIO is an error, also in the chunk that is read ahead and in one that nobody takes', () =>
  withFile(
    faulty(async (handle, buffer, offset, length, position) => {
      if (position >= 512) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
      return handle.read(buffer, offset, length, position);
    }),
    async (file, path) => {
      const seen: number[] = [];
      const drain = async (): Promise<void> => {
        for await (const chunk of file.chunks(0, 1000, 256)) seen.push(chunk.byteLength);
      };
      await expectRefusal(drain, path, { code: 'cannot_read', message: /EIO/, offset: 512 });
      expect(seen).toEqual([256, 256]);
      let taken = 0;
      for await (const chunk of file.chunks(256, 1000, 256)) {
        taken += chunk.byteLength;
        break;
      }
      expect(taken).toBe(256);
    },
  ));

test('the next chunk is read while the consumer works on the last', async () => {
  const positions: number[] = [];
  await withFile(
    faulty((handle, buffer, offset, length, position) => {
      positions.push(position);
      return handle.read(buffer, offset, length, position);
    }),
    async (file) => {
      const seen: number[] = [];
      for await (const chunk of file.chunks(0, 40, 16)) {
        seen.push(chunk.byteLength);
        await new Promise((resolve) => setTimeout(resolve, 5));
        expect(positions.length).toBe(Math.min(seen.length + 1, 3));
      }
      expect(seen).toEqual([16, 16, 8]);
    },
  );
});

test.each<[string, RegExp, (path: string) => void]>([
  ['appended to', /its size was 1000 and is 1001/, (path) => appendFileSync(path, 'x')],
  ['touched', /its modification time was/, (path) => utimesSync(path, 1, 1)],
  [
    'replaced by a copy with the same times',
    /its (inode|modification time) was/,
    (path) => {
      writeFileSync(`${path}2`, readFileSync(path));
      renameSync(`${path}2`, path);
    },
  ],
])('a file that is %s is noticed', (_, message, change) =>
  withFile(undefined, async (file, path) => {
    await file.checkUnchanged();
    change(path);
    await expectRefusal(() => file.checkUnchanged(), path, { code: 'file_changed', message });
    await expectRefusal(() => file.read(0, 1), path, { code: 'file_changed', message }); // it is not open yet
  }),
);

test.each<[string, (path: string) => void, RegExp]>([
  ['a folder', (path) => mkdirSync(path), /a folder/],
  ['a FIFO', (path) => execFileSync('mkfifo', [path]), /a FIFO/],
])('%s in place of a file is refused without waiting', async (_, make, message) => {
  const path = join(tempFolder(), 'x');
  make(path);
  await expectRefusal(() => InputFile.open(path, new FilePool()), path, { code: 'not_a_file', message });
});

test('a device is refused, an absent file is a usage error', async () => {
  await expectRefusal(() => InputFile.open('/dev/zero', new FilePool()), '/dev/zero', {
    code: 'not_a_file',
    message: /a device/,
  });
  const path = join(tempFolder(), 'x');
  await expectRefusal(() => InputFile.open(path, new FilePool()), path, {
    name: 'UsageError',
    code: 'not_found',
    message: /no such file/,
  });
});

test('few handles are open at a time', async () => {
  let now = 0;
  let most = 0;
  const counting: OpenFile = async (path) => {
    const handle = await open(path);
    most = Math.max(most, ++now);
    return {
      read: (...args) => handle.read(...args),
      stat: (options) => handle.stat(options),
      close: () => (now--, handle.close()),
    };
  };
  const folder = tempFolder(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}`, `${i}`])));
  const pool = new FilePool(counting, 4);
  const files = await Promise.all(Array.from({ length: 30 }, (_, i) => InputFile.open(join(folder, `${i}`), pool)));
  for (let round = 0; round < 3; round++)
    for (const [i, file] of files.entries())
      expect(Buffer.from(await file.read(0, file.byteLength)).toString()).toBe(`${i}`);
  expect(most).toBeLessThanOrEqual(5);
  await pool.close();
  expect(now).toBe(0);
});

test('a file that is being read stays open, however many others are asked for', async () => {
  const folder = tempFolder({ a: CONTENT, b: CONTENT, c: CONTENT });
  let closedWhileRead = 0;
  const slow: OpenFile = async (path) => {
    const handle = await open(path);
    let reads = 0;
    return {
      async read(...args) {
        reads++;
        await new Promise((resolve) => setTimeout(resolve, 5));
        reads--;
        return handle.read(...args);
      },
      stat: (options) => handle.stat(options),
      async close() {
        closedWhileRead += reads;
        await handle.close();
      },
    };
  };
  const pool = new FilePool(slow, 1);
  const files = await Promise.all(['a', 'b', 'c'].map((name) => InputFile.open(join(folder, name), pool)));
  const read = await Promise.all([...files, ...files].map((file, i) => file.read(100 * i, 100 * i + 50)));
  expect(read).toEqual(files.concat(files).map((_, i) => CONTENT.slice(100 * i, 100 * i + 50)));
  expect(closedWhileRead).toBe(0);
  await pool.close();
});
