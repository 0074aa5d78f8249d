import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  AutoProcessor,
  env,
  PaliGemmaForConditionalGeneration,
  RawImage,
  type PaliGemmaProcessor,
  type Tensor,
} from '@huggingface/transformers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleTokenizer, openBundle } from '../bundle/open_bundle.ts';
import { convert } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { decodeImage } from '../images/decode.ts';
import { openModel } from '../models/open_model.ts';
import { answer } from '../samples/answer.ts';
import { silentReporter } from '../terminal/reporter.ts';
import {
  OWN_QUESTION,
  OWN_ROWS,
  ownTokenizer,
  writeOwnAdapter,
  writeOwnCheckpoint,
  writeOwnNpz,
} from '../testing/own_tokens.ts';

/*
 * Tokens of a fine-tune's own, behind <image> (cases/added-tokens and adapter-resized): whichever way they come, the
 * bundle says what transformers says.
 */

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-own-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function said(name: string, options: Partial<ConvertOptions> & Pick<ConvertOptions, 'checkpoint'>) {
  const { out } = await convert(
    { backend: 'onnx', precision: 'fp32', verify: false, out: join(root, `${name}-bundle`), ...options },
    silentReporter,
  );
  const model = await openBundle(out);
  try {
    const { image, prompt } = OWN_QUESTION;
    const given = await answer(model, (await bundleTokenizer(out, model.manifest))!, {
      image: await decodeImage(image),
      prompt,
    });
    return { ...given, vocabSize: model.metadata.vocabSize };
  } finally {
    await model.dispose();
  }
}

const RIGHT = { tokens: OWN_QUESTION.tokens, text: '<act0>', vocabSize: OWN_ROWS };

test.each(['tokenizer.json', 'added_tokens.json', 'tokenizer_config.json'] as const)(
  'of a checkpoint that names them in %s, within a padded table or not',
  async (where) => {
    const rows = where === 'tokenizer.json' ? OWN_ROWS : 1600;
    const checkpoint = await writeOwnCheckpoint(join(root, where), { where, rows });
    expect(await said(where, { checkpoint, verify: where === 'tokenizer.json' })).toMatchObject(RIGHT);
  },
  60_000,
);

test('of an .npz, by the tokenizer that is given', async () => {
  // in a folder of its own: what lies beside an .npz is its own
  const folder = join(root, 'of-npz');
  await mkdir(folder);
  const checkpoint = await writeOwnNpz(join(folder, 'own.npz'));
  const tokenizer = join(folder, 'own.json');
  await writeFile(tokenizer, await ownTokenizer());
  expect(await said('npz', { checkpoint, tokenizer })).toMatchObject(RIGHT);
});

test.each(['fixtures/shapes/hf', 'fixtures/shapes/bv_f32.npz'])(
  'of an adapter with tables of its own, on %s',
  async (checkpoint) => {
    const dir = await writeOwnAdapter(join(root, `adapter-${checkpoint.length}`));
    expect(await said(`adapter-${checkpoint.length}`, { checkpoint, adapters: [{ dir, scale: 1 }] })).toMatchObject(
      RIGHT,
    );
  },
);

test('of an adapter that trained their rows alone', async () => {
  const dir = await writeOwnAdapter(join(root, 'indices'), { indices: true });
  expect(await said('indices', { checkpoint: 'fixtures/shapes/hf', adapters: [{ dir, scale: 1 }] })).toMatchObject(
    RIGHT,
  );
});

test('transformers.js says them, of the bundle as it is', async () => {
  const checkpoint = await writeOwnCheckpoint(join(root, 'client'));
  const { out } = await convert(
    { checkpoint, backend: 'onnx', precision: 'fp32', verify: false, out: join(root, 'client-bundle') },
    silentReporter,
  );
  env.allowRemoteModels = false;
  env.localModelPath = root;
  const processor = (await AutoProcessor.from_pretrained(basename(out))) as PaliGemmaProcessor;
  const model = await PaliGemmaForConditionalGeneration.from_pretrained(basename(out), { dtype: 'fp32' });
  try {
    const { image, prompt, tokens } = OWN_QUESTION;
    const inputs = (await processor(await RawImage.read(image), `<image>${prompt}`)) as { input_ids: Tensor };
    const ids = (await model.generate({ ...inputs, max_new_tokens: 4 })) as Tensor;
    const said = ids.slice(null, [inputs.input_ids.dims.at(-1)!, ids.dims.at(-1)!]);
    expect([...(said.data as BigInt64Array)].map(Number)).toEqual(tokens);
    expect(processor.batch_decode(said, { skip_special_tokens: true })).toEqual(['<act0>']);
  } finally {
    await model.dispose();
  }
});

test('an adapter whose tokens no tokenizer names is refused, and taken with one', async () => {
  const dir = await writeOwnAdapter(join(root, 'unnamed'), { tokenizer: false });
  const source = { checkpoint: 'fixtures/shapes/hf', adapters: [{ dir, scale: 1 }] };
  await expect(openModel(source)).rejects.toMatchObject({
    code: 'adapter_tokens_unknown',
    place: { file: dir, hint: expect.stringContaining('--tokenizer') },
  });
  const tokenizer = join(root, 'given.json');
  await writeFile(tokenizer, await ownTokenizer());
  const opened = await openModel({ ...source, tokenizer });
  expect(opened.model.program.metadata.vocabSize).toBe(OWN_ROWS);
  await opened.close();
});
