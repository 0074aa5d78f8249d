import { join } from 'node:path';
import { bytesText } from '../bytes_text.ts';
import type { BundleFolder, Description, StoredTensor, TextTable } from '../description.ts';
import { BackendError } from '../error.ts';
import { readRegular } from '../regular_file.js';
import { MANIFEST_PATH } from './bundle/manifest.ts';
import { ManifestError } from './bundle/manifest_error.ts';
import type { Plan } from './bundle/plan.ts';
import { readManifest } from './bundle/read_manifest.ts';
import { summarizePhases, type PhaseSummary } from './phase_summary.ts';

/** Of a 28B it has less than 4 MB. */
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

/** Phases, shards and shaders of a bundle. */
export async function describe({ dir }: BundleFolder): Promise<Description> {
  const plan = await planIn(dir);
  const phases = summarizePhases(plan);
  const weights = plan.weights.map(({ name, shard, offset, byteLength }) => ({
    name,
    shard: plan.shards[shard]!.path,
    offset,
    bytes: byteLength,
  }));
  const shards: TextTable = {
    head: ['shard', 'bytes', 'weights', 'sha256'],
    rows: plan.shards.map((shard, i) => [
      shard.path,
      shard.byteLength,
      plan.weights.filter((weight) => weight.shard === i).length,
      shard.sha256.slice(0, 16),
    ]),
    numeric: [1, 2],
  };
  return {
    data: {
      plan: {
        symbols: plan.symbols,
        phases,
        shards: plan.shards,
        shaders: plan.shaders,
        pipelines: plan.pipelines.length,
        buffers: plan.buffers.map(({ label, role }) => ({ label, role })),
        weights,
      },
    },
    parts: [phaseTable(phases), ...phases.map(shadersLine), totalsLine(plan), shards],
    tensors: {
      head: ['weight', 'bytes', 'shard', 'offset'],
      rows: weights.map((w) => [w.name, w.bytes, w.shard, w.offset]),
      numeric: [1, 3],
    },
  };
}

/** The ranges that kernels bind. */
export async function storedTensors({ dir }: BundleFolder): Promise<readonly StoredTensor[]> {
  return (await planIn(dir)).weights.map(({ name, byteLength }) => ({ name, bytes: byteLength }));
}

/** The plan of a bundle. @throws BackendError when it is missing, damaged or of a later version */
export async function planIn(dir: string): Promise<Plan> {
  const file = join(dir, MANIFEST_PATH);
  const hint = 'copy the bundle again, or convert again';
  const bytes = await readRegular(file, MAX_MANIFEST_BYTES).catch((cause: unknown) => {
    const message = `cannot read the plan of the shaders: ${(cause as Error).message}`;
    throw new BackendError('bundle-missing', message, { file, hint }, { cause });
  });
  const { plan } = await readManifest(bytes).catch((cause: unknown) => {
    if (!(cause instanceof ManifestError)) throw cause;
    const place = { file, hint: cause.code === 'newer' ? 'use a newer pgconv' : hint };
    throw new BackendError('bundle-damaged', cause.message, place, { cause });
  });
  return plan;
}

function phaseTable(phases: readonly PhaseSummary[]): TextTable {
  const sizes = (fixed: PhaseSummary['fixed']) =>
    Object.entries(fixed)
      .map(([name, value]) => `${name} = ${value}`)
      .join(', ') || 'any';
  return {
    head: ['phase', 'sizes', 'dispatches', 'shaders', 'stages'],
    rows: phases.map((p) => [p.name, sizes(p.fixed), p.steps, Object.keys(p.shaders).length, p.stages.length]),
    numeric: [2, 3, 4],
  };
}

function shadersLine({ name, shaders }: PhaseSummary): string {
  const counts = Object.entries(shaders).map(([shader, count]) => `${count} ${shader}`);
  return `${name}: ${counts.join(', ')}`;
}

function totalsLine({ pipelines, shaders, buffers }: Plan): string {
  const bytes = shaders.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const ports = buffers.filter(({ role }) => role === 'port').length;
  return [
    `${pipelines.length} pipelines of ${shaders.length} shaders (${bytesText(bytes)})`,
    `${ports} buffers that outlive a phase`,
    `${buffers.length - ports} shared ones`,
  ].join(', ');
}
