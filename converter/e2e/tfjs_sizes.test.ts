import { describe, expect, test } from 'vitest';
import type { Artifact } from '../../backends/backend.ts';
import { openSource } from '../../backends/client/sources/open_source.ts';
import { readBundle } from '../../backends/tfjs/driver/bundle.ts';
import { plannedMemory } from '../../backends/tfjs/driver/planned_memory.ts';
import { tfjs } from '../../backends/tfjs/index.ts';
import { PLAN_PATH } from '../../backends/tfjs/plan.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { programIn, syntheticProgram } from '../bench/gpu/programs.ts';
import { VARIANTS } from '../models/paligemma/config.ts';
import { bytesText } from '../../backends/bytes_text.ts';

/* What tfjs bundles of real sizes take, planned: no weight is made. */

const MIB = 2 ** 20;

/** The texts of an artifact, as a bundle is read. */
async function planned(artifact: Artifact) {
  const texts = await Promise.all(
    artifact.files
      .filter(({ path }) => path.endsWith('.json'))
      .map(async ({ path, chunks }) => {
        const parts: Uint8Array<ArrayBuffer>[] = [];
        for await (const { bytes } of chunks()) parts.push(new Uint8Array(bytes));
        return [path, new Blob(parts)] as const;
      }),
  );
  return readBundle(openSource(new Map(texts), PLAN_PATH));
}

async function emitted(variant: string, precision: Precision, target: string) {
  const program = await programIn(syntheticProgram(VARIANTS[variant]!), precision, tfjs, { target });
  return tfjs.emit(program, { precision, target });
}

describe('paligemma-3b-224', () => {
  test('int4 packed: 1.6 GB in all, no file over 64 MiB, and the table of the embedding is that of the head', async () => {
    const artifact = await emitted('paligemma-3b-224', 'int4', 'packed');
    const bundle = await planned(artifact);
    const { stored, loaded, peak, parts } = plannedMemory(bundle);
    const total = artifact.files.reduce((sum, { byteLength }) => sum + byteLength, 0);
    console.log(
      [
        `${artifact.files.length} files, ${bytesText(total)}; in tfjs ${bytesText(loaded)}, at most ${bytesText(peak)} while loading`,
        ...artifact.files.map(({ path, byteLength }) => `${path} ${bytesText(byteLength)}`),
      ].join('\n'),
    );
    expect(total).toBeLessThanOrEqual(1.6e9);
    expect(Math.max(...artifact.files.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(64 * MIB);
    // codes stay as they are; scales and the few floats widen
    expect(loaded).toBeLessThan(1.07 * stored);
    expect(peak - loaded).toBeLessThanOrEqual(256 * MIB);
    expect(parts.map(({ folder }) => folder)).toContain('vision');
    // what every layer reads is in one part, and its rows are handed on
    expect(
      [...bundle.parts.values()].flatMap(({ weights }) => weights).filter(({ spec }) => spec.name.startsWith('rope.')),
    ).toHaveLength(2);
    const [table] = bundle.plan.graphs.find(({ name }) => name === 'embed_tokens')!.tables;
    expect(table!.weights).toEqual([]);
    expect(table!.runs.map(({ folder }) => folder)).toEqual(
      bundle.plan.graphs
        .find(({ name }) => name === 'decoder')!
        .parts.map(({ folder }) => folder)
        .filter((folder) => folder.startsWith('head_')),
    );
  }, 120_000);

  test('fp16 std: tensors of 64 MiB at most as stored, parts of 512 MiB', async () => {
    const artifact = await emitted('paligemma-3b-224', 'fp16', 'std');
    const bundle = await planned(artifact);
    expect(Math.max(...artifact.files.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(64 * MIB);
    const decoder = plannedMemory(bundle).parts.filter(({ folder }) => folder.startsWith('decoder_'));
    expect(decoder.length).toBeGreaterThan(5);
    expect(Math.max(...decoder.map(({ stored }) => stored))).toBeLessThanOrEqual(600 * MIB);
  }, 120_000);
});
