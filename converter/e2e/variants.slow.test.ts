import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIG_VISION, writeBigVisionVariant } from '../../fixtures/variants/big_vision.ts';
import {
  COLPALI_VARIANTS,
  CONFIGS,
  HUGGING_FACE,
  PADDED,
  PI0_VARIANTS,
  writeHuggingFaceVariant,
} from '../../fixtures/variants/hugging_face.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';

/** What a bundle holds, by file, and what its manifest says of the model. */
interface Bundle {
  readonly files: Readonly<Record<string, string>>;
  readonly manifest: Pick<Manifest, 'program' | 'precision' | 'backend' | 'notes'> & {
    readonly inferred: Readonly<Record<string, unknown>>;
  };
  readonly warnings: readonly string[];
}

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-variants-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const freshFolder = () => mkdtemp(join(root, 'x'));

async function bundleOf(checkpoint: string | readonly string[]): Promise<Bundle> {
  // one name for all, as the bundle's README shows it
  const out = join(await freshFolder(), 'bundle');
  const { manifest, warnings } = await convert(
    { checkpoint, backend: 'onnx', precision: 'fp16', out, verify: false },
    silentReporter,
  );
  const names = (await readdir(out, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(out.length + 1));
  const hash = async (name: string): Promise<[string, string]> => [
    name,
    createHash('sha256')
      .update(await readFile(join(out, name)))
      .digest('hex'),
  ];
  // The README and the manifest name the source files; what else the manifest says is compared field by field.
  const files = Object.fromEntries(
    await Promise.all(names.filter((name) => !['README.md', 'manifest.json'].includes(name)).map(hash)),
  );
  const { program, precision, backend, notes, inferences } = manifest;
  return {
    files,
    manifest: {
      program,
      precision,
      backend,
      notes,
      inferred: Object.fromEntries(inferences.map(({ field, value }) => [field, value])),
    },
    warnings,
  };
}

const graphsOf = ({ files }: Bundle) =>
  Object.fromEntries(Object.entries(files).filter(([name]) => name.startsWith('onnx/')));

describe.each(['pg1-tiny', 'pg2-tiny'])('%s', (fixture) => {
  const hf = join('fixtures', fixture, 'hf');
  const npz = join('fixtures', fixture, 'bv_f32.npz');
  let [fromHf, fromNpz]: Bundle[] = [];
  beforeAll(async () => {
    [fromHf, fromNpz] = [await bundleOf(hf), await bundleOf(npz)];
    expect(Object.keys(graphsOf(fromHf)).length).toBeGreaterThanOrEqual(6);
  });

  test.each(HUGGING_FACE.map((variant) => [variant.name, variant] as const))(
    'Hugging Face, %s: the same bundle',
    async (_, variant) => {
      const { files, manifest } = await bundleOf(await writeHuggingFaceVariant(variant, hf, await freshFolder()));
      expect(files).toEqual(fromHf!.files);
      expect(manifest).toEqual(fromHf!.manifest);
    },
  );

  test.each(CONFIGS.map((variant) => [variant.name, variant] as const))(
    'Hugging Face, %s: the same graphs',
    async (_, variant) => {
      const bundle = await bundleOf(await writeHuggingFaceVariant(variant, hf, await freshFolder()));
      expect(graphsOf(bundle)).toEqual(graphsOf(fromHf!));
      expect(bundle.manifest.program).toEqual(fromHf!.manifest.program);
      expect(bundle.manifest.inferred).toEqual(fromHf!.manifest.inferred);
    },
  );

  test('a table that is padded as the Hub pads: the graphs of big_vision’s', async () => {
    const bundle = await bundleOf(await writeHuggingFaceVariant(PADDED, hf, await freshFolder()));
    expect(graphsOf(bundle)).toEqual(graphsOf(fromNpz!));
    expect(bundle.manifest.program).toEqual(fromNpz!.manifest.program);
  });

  test.each(PI0_VARIANTS.map((variant) => [variant.name, variant] as const))(
    '%s: the same graphs, and a sentence on what was left out',
    async (_, variant) => {
      const bundle = await bundleOf(await writeHuggingFaceVariant(variant, hf, await freshFolder()));
      expect(graphsOf(bundle)).toEqual(graphsOf(fromHf!));
      expect(bundle.manifest.program).toEqual(fromHf!.manifest.program);
      expect(bundle.warnings).toEqual([
        expect.stringMatching(/π0.*tensors of the action expert were left out \((?:gemma_expert|dit), /),
      ]);
    },
  );

  test('ColPali under every name: one bundle, whose image tower and embeddings are the base’s', async () => {
    const bundles = [];
    for (const variant of COLPALI_VARIANTS)
      bundles.push(await bundleOf(await writeHuggingFaceVariant(variant, hf, await freshFolder())));
    const [native, ...engine] = bundles;
    for (const bundle of engine) expect(graphsOf(bundle)).toEqual(graphsOf(native!));
    const ofBase = (bundle: Bundle) =>
      Object.entries(graphsOf(bundle)).filter(([name]) => /vision_encoder|embed_tokens/.test(name));
    expect(ofBase(native!).length).toBeGreaterThanOrEqual(4);
    expect(ofBase(native!)).toEqual(ofBase(fromHf!));
  });

  test.each(BIG_VISION.map((variant) => [variant.name, variant] as const))(
    'big_vision, %s: the same bundle',
    async (_, variant) => {
      const { files, manifest } = await bundleOf(await writeBigVisionVariant(variant, npz, await freshFolder()));
      expect(files).toEqual(fromNpz!.files);
      expect(manifest).toEqual(fromNpz!.manifest);
    },
  );

  test.each(['bv_bf16.npz', 'bv_f16_deflate.npz'])('%s layer by layer: the same bundle as stacked', async (name) => {
    const source = join('fixtures', fixture, name);
    const variant = BIG_VISION.find((candidate) => candidate.name.startsWith('both layer by layer'))!;
    const { files, manifest } = await bundleOf(await writeBigVisionVariant(variant, source, await freshFolder()));
    const stacked = await bundleOf(source);
    expect(files).toEqual(stacked.files);
    expect(manifest).toEqual(stacked.manifest);
  });
});
