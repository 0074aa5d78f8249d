import type { Manifest } from '../bundle/manifest.ts';
import { bytesText } from '../terminal/units.ts';
import { readShaderBundle, summarizePhases } from '../bundle/shader_bundle.ts';
import { json, type Io } from './io.ts';
import { table } from '../terminal/table.ts';

/**
 * Shows phases, shards and shaders of a bundle of shaders; with `tensors` every weight.
 * @throws BadInputError for a damaged plan
 */
export async function showShaders(
  io: Io,
  { dir, manifest, line }: { readonly dir: string; readonly manifest: Manifest; readonly line: string },
  { tensors = false, json: asJson = false }: { readonly tensors?: boolean; readonly json?: boolean },
): Promise<void> {
  const { plan } = await readShaderBundle(dir);
  const phases = summarizePhases(plan);
  const weights = plan.weights.map(({ name, shard, offset, byteLength }) => ({
    name,
    shard: plan.shards[shard]!.path,
    offset,
    bytes: byteLength,
  }));
  if (asJson)
    return io.out(
      json({
        kind: 'bundle',
        path: dir,
        manifest,
        plan: {
          symbols: plan.symbols,
          phases,
          shards: plan.shards,
          shaders: plan.shaders,
          pipelines: plan.pipelines.length,
          buffers: plan.buffers.map(({ label, role }) => ({ label, role })),
          weights,
        },
      }),
    );
  io.out(line);
  const fixed = (sizes: Readonly<Record<string, number>>) =>
    Object.entries(sizes)
      .map(([name, value]) => `${name} = ${value}`)
      .join(', ') || 'any';
  io.out(
    table(
      ['phase', 'sizes', 'dispatches', 'shaders', 'stages'],
      phases.map((p) => [p.name, fixed(p.fixed), p.steps, Object.keys(p.shaders).length, p.stages.length]),
      [2, 3, 4],
    ),
  );
  for (const { name, shaders } of phases)
    io.out(
      `${name}: ${Object.entries(shaders)
        .map(([shader, count]) => `${count} ${shader}`)
        .join(', ')}`,
    );
  const ports = plan.buffers.filter(({ role }) => role === 'port').length;
  io.out(
    `${plan.pipelines.length} pipelines of ${plan.shaders.length} shaders (${bytesText(plan.shaders.reduce((sum, { byteLength }) => sum + byteLength, 0))}), ${ports} buffers that outlive a phase, ${plan.buffers.length - ports} shared ones`,
  );
  io.out(
    table(
      ['shard', 'bytes', 'weights', 'sha256'],
      plan.shards.map((shard, i) => [
        shard.path,
        shard.byteLength,
        plan.weights.filter((weight) => weight.shard === i).length,
        shard.sha256.slice(0, 16),
      ]),
      [1, 2],
    ),
  );
  if (tensors)
    io.out(
      table(
        ['weight', 'bytes', 'shard', 'offset'],
        weights.map((w) => [w.name, w.bytes, w.shard, w.offset]),
        [1, 3],
      ),
    );
}
