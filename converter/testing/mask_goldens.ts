import { join } from 'node:path';
import { findBackend } from '../../backends/find_backend.ts';
import { writtenArtifact } from '../../backends/testing/written_artifact.ts';
import { programOf } from '../../backends/testing/tiny_program.ts';
import { readTensor, tensorOf, type Tensor } from '../../ir/tensor.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { maskDecoder, readMaskDecoder } from '../models/paligemma/mask_decoder.ts';
import { narrowingFor, programsFor } from '../precision/precision.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { difference } from '../../verify/metrics.ts';
import { rowsOf } from '../../verify/rows.ts';

const FOLDER = join(import.meta.dirname, '../../fixtures/masks');

/** How far masks may be from what big_vision's own decoder makes of the same codes, in f32: they are about -1 to 1. */
export const MASK_LIMIT = 1e-4;

/** Codes i32[6, 16], and the masks f32[6, 64, 64] that big_vision's Flax decoder makes of them. */
export async function maskGoldens(): Promise<{ readonly codes: Tensor; readonly masks: Tensor }> {
  const file = await openSafetensors(join(FOLDER, 'golden.safetensors'));
  try {
    const codes = await readTensor(file.tensors.get('codes')!);
    const masks = await readTensor(file.tensors.get('masks')!);
    return { codes: tensorOf('i32', codes.shape, Array.from(codes.data, Number)), masks };
  } finally {
    await file.close();
  }
}

/** A bundle of the mask decoder alone, on a device: what it makes of the goldens' codes beside the goldens. */
export async function maskErrors(
  name: string,
  device: string,
  precision: Precision = 'fp32',
): Promise<{ readonly maxAbs: number; readonly relativeL2: number }> {
  const { codes, masks } = await maskGoldens();
  const checkpoint = await openCheckpoint(join(FOLDER, 'vae-oid.npz'));
  try {
    const backend = await findBackend(name);
    const program = programOf(maskDecoder(readMaskDecoder(checkpoint)));
    const narrowing = narrowingFor(precision, backend);
    const { bundle } = programsFor(program, precision, { backend, ...(narrowing && { narrowing }) });
    await using written = await writtenArtifact(backend.emit(bundle, { precision }));
    const runner = await backend.open(written.dir, { device });
    try {
      const made = (await runner.run('mask_decoder', { codes }))['masks']!;
      return difference(rowsOf(made, {}), rowsOf(masks, {}), Infinity);
    } finally {
      await runner.dispose();
    }
  } finally {
    await checkpoint.close();
  }
}
