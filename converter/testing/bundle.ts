import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterEach } from 'vitest';
import type { ArtifactFile } from '../../backends/backend.ts';
import { claimOutput } from '../bundle/claim.ts';
import type { ManifestFields } from '../bundle/manifest.ts';
import { publishBundle, type PublishedBundle, type PublishOptions } from '../bundle/publish.ts';

/** A file of `byteLength` bytes that follow from `seed`, made chunk by chunk. */
export function patternFile(path: string, byteLength: number, seed = 1, chunkBytes = 64 * 1024): ArtifactFile {
  return {
    path,
    byteLength,
    async *chunks({ from = 0 } = {}) {
      for (let at = from; at < byteLength; at += chunkBytes) {
        const bytes = new Uint8Array(Math.min(chunkBytes, byteLength - at));
        for (let i = 0; i < bytes.length; i++) bytes[i] = ((at + i) * 31 + seed * 17) >>> 3;
        yield { bytes };
      }
    },
  };
}

/** Claims a place, and publishes a bundle there. */
export async function publishTo(
  outDir: string,
  { force, ...options }: Omit<PublishOptions, 'claim'> & { readonly force?: boolean },
): Promise<PublishedBundle> {
  const claim = await claimOutput(outDir, force);
  try {
    return await publishBundle({ claim, ...options });
  } finally {
    await claim.release();
  }
}

export const testFields: ManifestFields = {
  tool: { name: 'pgconv', version: '1.2.3' },
  backend: 'onnx',
  precision: 'fp16',
  options: {
    checkpoint: ['model'],
    adapters: [],
    reference: 'huggingface',
    finalSoftcap: 'auto',
    slidingWindow: 'auto',
    target: 'portable',
    mixed: 'auto',
    algorithm: 'search',
    perChannel: false,
    calibrate: '',
    quantizedOps: 'nbits',
    accuracyLevel: 0,
    strict: false,
    allowOverflow: false,
  },
  source: { format: 'huggingface', files: [{ path: 'model.safetensors', bytes: 3, sha256: 'ab'.repeat(32) }] },
  program: {
    family: 'paligemma',
    variant: 'tiny',
    imageSize: 28,
    imageTokens: 4,
    imageTokenId: 99,
    vocabSize: 98,
    layers: 2,
    kvHeads: 1,
    headDim: 8,
    hiddenSize: 16,
    bosTokenId: 2,
    eosTokenId: 1,
    padTokenId: 0,
    maxPositions: 128,
  },
  ledger: [{ file: 'model.safetensors', tensor: 'a', used: ['lm.embed'] }],
  inferences: [{ field: 'headDim', value: 8, from: 'config.json text_config.head_dim' }],
  notes: ['a note'],
};

/** Makes a fresh folder for each call, in `parent`; removed after the test. */
export function tempFolders(): (parent?: string) => Promise<string> {
  const made: string[] = [];
  afterEach(async () => {
    for (const dir of made.splice(0)) await rm(dir, { recursive: true, force: true });
  });
  return async (parent = tmpdir()) => {
    const dir = await mkdtemp(join(parent, 'pgconv-test-'));
    made.push(dir);
    return dir;
  };
}
