import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findBackend } from '../../../backends/find_backend.ts';
import { quantizeMatrix } from '../../../ir/quantize/quantize_matrix.ts';
import type { QuantizeAlgorithm } from '../../../ir/formats/index.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import type { WeightsReport } from '../../../verify/weights/verify_weights.ts';
import { hashFiles } from '../../bundle/hash_files.ts';
import { makeManifest, MANIFEST_NAME, printManifest, readManifest } from '../../bundle/manifest.ts';
import { checkWeights } from '../../compile/check_weights.ts';
import { openModel } from '../../models/open_model.ts';
import { balancedProgram, formatFor, programsFor } from '../../precision/precision.ts';
import { silentReporter } from '../../terminal/reporter.ts';
import type { QuantizePool } from '../../threads/quantize_pool.ts';

/**
 * The weights of a bundle against those of the checkpoint that it was made of, without running it and without looking
 * at hashes. `executor` makes codes again in threads.
 */
export async function weightsReport(dir: string, executor?: QuantizePool): Promise<WeightsReport> {
  const manifest = await readManifest(dir);
  const {
    checkpoint,
    reference,
    finalSoftcap,
    slidingWindow,
    algorithm,
    balance = 'none',
    perChannel,
    target,
  } = manifest.options;
  const { storage = {} } = manifest;
  const precision = manifest.precision as Precision;
  const backend = await findBackend(manifest.backend);
  const source = await openModel({ checkpoint: checkpoint[0]!, adapters: [], reference, finalSoftcap, slidingWindow });
  try {
    const program = balancedProgram(source.model.program, precision, balance);
    const base = formatFor(precision);
    const codes = base
      ? programsFor(program, precision, {
          storageOf: ({ name }) => storage[name] ?? base,
          algorithm: algorithm as QuantizeAlgorithm,
          perChannel,
          backend,
          target,
          quantize: (data, scheme) => quantizeMatrix(data, scheme, executor && { executor }),
        }).reference
      : program;
    const report = await checkWeights(
      { backend, bundle: { dir, files: manifest.files }, precision, program: codes },
      silentReporter,
    );
    return report!;
  } finally {
    await source.close();
  }
}

/**
 * Makes the manifest's hashes right again after files were changed, all or those at `paths`: only who reads them can
 * tell.
 */
export async function resealed(dir: string, paths?: readonly string[]): Promise<void> {
  const { format: _, formatVersion: __, sha256: ___, files, ...fields } = await readManifest(dir);
  const isChanged = (path: string) => paths?.includes(path) ?? true;
  const hashes = await hashFiles(files.flatMap(({ path }) => (isChanged(path) ? [join(dir, path)] : [])));
  const entries = files.map((entry) => {
    const now = hashes.get(join(dir, entry.path));
    return now ? { path: entry.path, bytes: now.bytes, sha256: now.sha256 } : entry;
  });
  await writeFile(join(dir, MANIFEST_NAME), printManifest(makeManifest(fields, entries)));
}
