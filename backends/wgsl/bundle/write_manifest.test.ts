import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { WgslManifest } from './manifest.ts';
import type { Binding, Extent, Phase, PlannedValue, Size } from './plan.ts';
import { readManifest } from './read_manifest.ts';
import { CONTENTS } from './testing/contents.ts';
import { manifestByteLength, manifestBytes } from './write_manifest.ts';

const size = (constant: number, symbol?: number): Size => ({
  constant,
  terms: symbol === undefined ? [] : [{ symbol, factor: 1 }],
});
const value = (name: string, shape: readonly Size[], buffer: number): PlannedValue => ({
  name,
  type: 'f32',
  shape,
  buffer,
});

/**
 * Layers of five kernels, as a decoder's step has them: what each makes is named after the module, as in checkpoints.
 */
function decoder(name: string, layers: number): Phase {
  const grid = (rows: number): readonly [Extent, Extent, Extent] => [
    { factors: [size(rows)], divide: 4 },
    { factors: [size(0, 0), size(0, 1)], divide: 1 },
    { factors: [], divide: 1 },
  ];
  const kernels = [
    ['self_attn.q_proj', 2560],
    ['self_attn.attention', 8],
    ['self_attn.o_proj', 2048],
    ['mlp.gate_proj', 16_384],
    ['mlp.down_proj', 2048],
  ] as const;
  const binding = (kind: Binding['kind'], index: number): Binding => ({ kind, index });
  return {
    name,
    graph: 'decoder',
    fixed: [{ symbol: 1, value: 1 }],
    scalars: [],
    inPlace: [],
    inputs: [value('inputs_embeds', [size(0, 0), size(0, 1), size(2048)], 0)],
    outputs: [value('logits', [size(0, 0), size(1), size(257_216)], 2)],
    stages: Array.from({ length: layers }, (_, i) =>
      value(`decoder.layer_${i}`, [size(0, 0), size(0, 1), size(2048)], 1),
    ),
    steps: Array.from({ length: layers }, (_, layer) =>
      kernels.map(([kernel, rows], i) => {
        const label = `language_model.model.layers.${layer}.${kernel}`;
        return {
          label,
          pipeline: 0,
          bindings: [binding('buffer', 0), binding('weight', 5 * layer + i), binding('buffer', 1)],
          grid: grid(rows),
          produces: [value(label, [size(0, 0), size(0, 1), size(rows)], 1)],
        };
      }),
    ).flat(),
  };
}

function manifestOf(layers: number): WgslManifest {
  const sha256 = 'ab'.repeat(32);
  return {
    precision: CONTENTS.precision,
    model: { ...CONTENTS.model, layers },
    plan: {
      symbols: ['batch', 'seq', 'past', 'capacity'],
      shards: [{ path: 'weights/000.bin', byteLength: 256 * 5 * layers, sha256 }],
      weights: Array.from({ length: 5 * layers }, (_, i) => ({
        name: `language_model.model.layers.${i}.weight`,
        shard: 0,
        offset: 256 * i,
        byteLength: 256,
      })),
      shaders: [{ path: 'shaders/plain.wgsl', byteLength: 1000, sha256 }],
      pipelines: [{ variants: [{ shader: 0, features: [] }], access: ['read', 'read', 'read_write'] }],
      buffers: ['x', 'y', 'logits'].map((label) => ({
        label,
        role: 'port',
        sizes: [{ factors: [size(0, 0), size(2048)], bytes: 4 }],
      })),
      phases: [decoder('decoder', layers), decoder('decoder.step', layers)],
    },
  };
}

describe('manifest.pgw', () => {
  it('has few kilobytes for 18 layers in two phases, and each layer costs little more than its names', async () => {
    const bytes = await manifestBytes(manifestOf(18));
    expect(await readManifest(bytes)).toEqual(manifestOf(18));
    expect(bytes.byteLength).toBeLessThan(28_000);
    expect(gzipSync(bytes).byteLength).toBeLessThan(7000);
    const perLayer = ((await manifestBytes(manifestOf(36))).byteLength - bytes.byteLength) / 18;
    expect(perLayer).toBeLessThan(1500);
  });

  it('is as long whatever its hashes are, and the same each time', async () => {
    const { plan, ...rest } = manifestOf(2);
    const with0 = { ...rest, plan: { ...plan, shards: [{ ...plan.shards[0]!, sha256: '0'.repeat(64) }] } };
    const [first, again, other] = [
      await manifestBytes({ ...rest, plan }),
      await manifestBytes(manifestOf(2)),
      await manifestBytes(with0),
    ];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect([other.byteLength, manifestByteLength(with0), manifestByteLength({ ...rest, plan })]).toEqual([
      first.byteLength,
      first.byteLength,
      first.byteLength,
    ]);
  });
});
