import { describe, expect, test } from 'vitest';
import { runPassesOnProgram, storeWeights } from '../ir/passes/index.ts';
import type { ArtifactFile } from './backend.ts';
import { backendNames, findBackend } from './find_backend.ts';
import { tinyProgram } from './testing/tiny_program.ts';

const sha256Of = async () => 'a'.repeat(64);

async function read(file: ArtifactFile, from: number): Promise<readonly Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const { bytes } of file.chunks({ from, sha256Of })) pieces.push(bytes);
  return pieces;
}

describe.each(backendNames())('%s', (name) => {
  test.each(['fp32', 'fp16'] as const)('a file of a bundle in %s can be made from any piece on', async (precision) => {
    const backend = await findBackend(name);
    const program = precision === 'fp32' ? tinyProgram() : runPassesOnProgram(tinyProgram(), [storeWeights('f16')]);
    for (const file of backend.emit(program, { precision }).files) {
      const pieces = await read(file, 0);
      const whole = Buffer.concat(pieces);
      expect(whole.byteLength, file.path).toBe(file.byteLength);
      let at = 0;
      for (const piece of pieces) {
        // a piece has whole elements, so its half has, where it is long
        const half = at + Math.floor(piece.byteLength / 16) * 8;
        for (const from of new Set([at, half]))
          expect(Buffer.concat(await read(file, from)).equals(whole.subarray(from)), `${file.path} from ${from}`).toBe(
            true,
          );
        at += piece.byteLength;
      }
      expect(Buffer.concat(await read(file, at)).byteLength).toBe(0);
    }
  });
});
