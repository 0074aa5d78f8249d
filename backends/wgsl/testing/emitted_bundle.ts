import { mkdir, mkdtemp, open as openFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Program } from '../../../ir/graph.ts';
import type { CompileOptions } from '../compile/compile.ts';
import { emit } from '../emit.ts';

/** A program's bundle in a temporary folder, which goes away with `await using`. @throws Error when a file has not the size that it states */
export async function emittedBundle(program: Program, options: CompileOptions = {}, precision = 'fp32'): Promise<{ readonly dir: string } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), 'pgconv-wgsl-'));
  for (const { path, byteLength, chunks } of emit(program, { precision }, options).files) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await using file = await openFile(join(dir, path), 'w');
    let written = 0;
    for await (const { bytes } of chunks()) {
      await file.write(bytes);
      written += bytes.byteLength;
    }
    if (written !== byteLength) throw new Error(`${path} states ${byteLength} bytes and has ${written}`);
  }
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}
