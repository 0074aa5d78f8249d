import { tensorData } from '../../../../ir/tensor.ts';
import { randomTensor } from '../../../../ir/testing/random.ts';
import { fileReader } from '../../../testing/file_reader.ts';
import { bundleFiles, type BundleContents } from '../bundle_files.ts';
import type { Extent, PlannedValue, Size } from '../plan.ts';

const seq: Size = {
  constant: 1,
  terms: [
    { symbol: 1, factor: 2 },
    { symbol: 0, factor: -1 },
  ],
};

/** One workgroup. */
export const ONE: Extent = { factors: [], divide: 1 };

/** A value that grows. */
export function growingValue(name: string, buffer: number): PlannedValue {
  return { name, type: 'f32', shape: [seq, { constant: 3, terms: [] }], growing: 0, buffer };
}

/** A small bundle that has something of everything a plan can hold. */
export const CONTENTS: BundleContents = {
  precision: 'int4',
  model: {
    family: 'paligemma',
    variant: 'tiny',
    imageSize: 56,
    imageTokens: 16,
    imageTokenId: 511,
    vocabSize: 500,
    layers: 2,
    kvHeads: 1,
    headDim: 16,
    hiddenSize: 32,
    bosTokenId: 2,
    eosTokenId: 1,
    padTokenId: 0,
    maxPositions: 64,
    stopTokenIds: [1, 340],
  },
  plan: {
    symbols: ['past', 'seq', 'capacity'],
    pipelines: [
      {
        variants: [
          { shader: 1, features: ['subgroups'] },
          { shader: 0, features: [] },
        ],
        access: ['read', 'read', 'read_write'],
      },
    ],
    buffers: [
      { label: 'x', role: 'port', sizes: [{ factors: [seq], bytes: 4 }] },
      { label: 'scratch', role: 'scratch', sizes: [] },
    ],
    phases: [
      {
        name: 'decoder.step',
        graph: 'decoder',
        fixed: [
          { symbol: 1, value: 1 },
          { symbol: 0, value: 7 },
        ],
        scalars: [{ symbol: 1, input: 'kept', whenZero: seq }],
        inputs: [growingValue('x', 0)],
        outputs: [growingValue('y', 0)],
        inPlace: [{ input: 'x', output: 'y' }],
        stages: [growingValue('s', 1)],
        steps: [
          {
            label: 'y',
            pipeline: 0,
            bindings: [
              { kind: 'buffer', index: 1 },
              { kind: 'weight', index: 2 },
              { kind: 'buffer', index: 0 },
            ],
            grid: [{ factors: [seq, seq], divide: 64 }, ONE, ONE],
            produces: [{ name: 'y', type: 'i32', shape: [], buffer: 1 }],
          },
        ],
      },
    ],
  },
  weights: [3, 70, 500].map((count, i) => ({ name: `w${i}`, data: tensorData(randomTensor('f32', [count], i)) })),
  shaders: [
    { path: 'shaders/plain.wgsl', text: '// plain' },
    { path: 'shaders/subgroups.wgsl', text: '// subgroups' },
  ],
};

/** The files of `CONTENTS` by their paths, written in their order. */
export async function writtenFiles(shardBytes?: number): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const read = fileReader();
  for (const file of bundleFiles(CONTENTS, shardBytes)) files.set(file.path, await read(file));
  return files;
}
