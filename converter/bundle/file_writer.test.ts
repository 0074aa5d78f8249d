import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tensorData, tensorOf } from '../../ir/tensor.ts';
import { OutputError } from '../errors.ts';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { FileWriter, type FileWriterOptions } from './file_writer.ts';

function writer(options?: FileWriterOptions): FileWriter {
  const made = new FileWriter(options);
  onTestFinished(() => made.dispose());
  return made;
}

const bytes = (length: number, from = 0) => Uint8Array.from({ length }, (_, i) => (from + i) % 251);

describe('files', () => {
  it('hold what was written to each, and say how much and its sha256', async () => {
    const folder = tempFolder();
    let told = 0;
    const files = writer({ onWritten: (count) => (told += count) });
    const closed = [];
    for (const [i, lengths] of [[3, 5], [], [70_000]].entries()) {
      const path = join(folder, `${i}`);
      files.open(path, 'x');
      for (const length of lengths) await files.write({ bytes: bytes(length, i) });
      closed.push({ path, file: files.close(path), expected: Buffer.concat(lengths.map((n) => bytes(n, i))) });
    }
    for (const { path, file, expected } of closed) {
      expect(await file).toEqual({
        bytes: expected.length,
        sha256: createHash('sha256').update(expected).digest('hex'),
      });
      expect(readFileSync(path)).toEqual(expected);
    }
    expect(told).toBe(70_008);
  });

  it('get the part of a buffer that was given, and no more', async () => {
    const path = join(tempFolder(), 'part');
    const files = writer();
    files.open(path, 'x');
    const whole = bytes(100);
    await files.write({ bytes: whole.subarray(10, 20) });
    await files.close(path);
    expect(readFileSync(path)).toEqual(Buffer.from(bytes(10, 10)));
    expect(whole).toEqual(bytes(100)); // the rest of the buffer is still its owner's
  });

  it('tell what is not finite, of which tensor', async () => {
    const path = join(tempFolder(), 'x');
    const found: unknown[] = [];
    const files = writer({ onNonFinite: (what) => found.push(what) });
    files.open(path, 'x');
    const values = new Float32Array([1, Infinity, NaN, -Infinity]);
    for (const data of [values, new Float32Array(4)])
      await files.write({
        bytes: new Uint8Array(data.slice().buffer),
        tensor: { name: 'w', dtype: 'f32', source: tensorData(tensorOf('f32', [4], data)) },
      });
    await files.close(path);
    expect(found).toEqual([{ kind: 'nonfinite', path, tensor: { name: 'w', dtype: 'f32' }, infinite: 2, nan: 1 }]);
  });
});

it('no more is on its way than was allowed', async () => {
  const path = join(tempFolder(), 'x');
  let under = 0;
  let most = 0;
  const files = writer({ maxInFlight: 1000, onWritten: (count) => (under -= count) });
  files.open(path, 'x');
  for (let i = 0; i < 20; i++) {
    under += 400;
    most = Math.max(most, under);
    await files.write({ bytes: bytes(400) });
  }
  await files.close(path);
  expect(most).toBe(1200);
  expect(under).toBe(0);
});

describe('a file that cannot be written', () => {
  it('rejects its close, and each call behind it, with the first reason', async () => {
    const folder = tempFolder();
    const taken = join(folder, 'taken');
    writeFileSync(taken, 'of another');
    const files = writer({ maxInFlight: 10 });
    files.open(taken, 'x');
    const closed = files.close(taken);
    await expect(closed).rejects.toThrow(OutputError);
    await expect(closed).rejects.toThrow(/EEXIST/);
    // the thread says as well that there was no file to close
    await new Promise((resolve) => setTimeout(resolve, 100));
    const next = join(folder, 'next');
    files.open(next, 'x');
    await expect(files.write({ bytes: bytes(100) })).rejects.toThrow(/EEXIST/);
    const told = await Promise.race([
      files.close(next).catch((error: unknown) => error),
      new Promise((resolve) => setTimeout(resolve, 1000, 'nothing')),
    ]);
    expect(told).toBeInstanceOf(OutputError);
    expect(existsSync(next)).toBe(false);
    expect(readFileSync(taken, 'utf8')).toBe('of another');
  });

  it('ends the wait for room', async () => {
    const files = writer({ maxInFlight: 10 });
    files.open(join(tempFolder(), 'no', 'folder'), 'x');
    await expect(files.write({ bytes: bytes(100) })).rejects.toThrow(OutputError);
  });
});
