import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');
/** Files of the checkpoint, and what is put in their place. */
const FORMS = {
  flat: { without: [], from: undefined },
  nested: {
    without: ['preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'],
    from: 'processors/transformers5',
  },
  none: { without: ['preprocessor_config.json', 'tokenizer_config.json'], from: undefined },
} as const;

let root: string;
beforeAll(async () => void (root = await mkdtemp(join(tmpdir(), 'pgconv-forms-'))));
afterAll(() => rm(root, { recursive: true, force: true }));

/** Every bundle has one name, as its README says it. */
async function outOf(name: string): Promise<string> {
  const out = join(root, 'out', name, 'bundle');
  await mkdir(join(out, '..'), { recursive: true });
  return out;
}

test('whatever processor files a checkpoint has, its bundle has the same bytes', async () => {
  const bundles = await Promise.all(
    Object.entries(FORMS).map(async ([name, { without, from }]) => {
      const checkpoint = join(root, name);
      await cp(join(FIXTURES, 'shapes/hf'), checkpoint, { recursive: true });
      await Promise.all(without.map((file) => rm(join(checkpoint, file))));
      if (from !== undefined) await cp(join(FIXTURES, from), checkpoint, { recursive: true });
      const { manifest, notes } = await convert(
        { checkpoint, backend: 'onnx', precision: 'fp16', out: await outOf(name), verify: false },
        silentReporter,
      );
      // Notes tell where files came from.
      return { hashes: Object.fromEntries(manifest.files.map((file) => [file.path, file.sha256])), notes };
    }),
  );
  const [flat, nested, none] = bundles as [(typeof bundles)[0], (typeof bundles)[0], (typeof bundles)[0]];
  expect(Object.keys(flat.hashes)).toEqual(
    expect.arrayContaining([
      'preprocessor_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'onnx/vision_encoder_fp16.onnx',
    ]),
  );
  expect(nested.hashes).toEqual(flat.hashes);
  expect(none.hashes).toEqual(flat.hashes);
  expect(none.notes.join('\n')).toContain("preprocessor_config.json: derived from the model's sizes");
  expect(nested.notes.join('\n')).toContain('taken out of processor_config.json');
  const written = await readFile(join(root, 'out/none/bundle/preprocessor_config.json'), 'utf8');
  expect(JSON.parse(written)).toMatchObject({ resample: 3, size: { height: 112, width: 112 }, image_seq_length: 64 });
}, 60_000);

test('--reference bigvision resizes bilinearly, whatever processor file there is', async () => {
  const out = await outOf('bilinear');
  const { notes } = await convert(
    {
      checkpoint: join(FIXTURES, 'shapes/hf'),
      backend: 'onnx',
      precision: 'fp16',
      out,
      verify: false,
      reference: 'bigvision',
    },
    silentReporter,
  );
  expect(JSON.parse(await readFile(join(out, 'preprocessor_config.json'), 'utf8'))).toMatchObject({ resample: 2 });
  expect(notes).toContain(
    'preprocessor_config.json: resample was bicubic, and is bilinear now, as big_vision resizes (--reference bigvision).',
  );
}, 60_000);
