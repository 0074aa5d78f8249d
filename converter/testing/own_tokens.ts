import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTensor, tensorData, type TensorData } from '../../ir/tensor.ts';
import { concatRows } from '../../ir/views/concat.ts';
import { mapData } from '../../ir/views/map.ts';
import { sliceRows } from '../../ir/views/select.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { writeNpz } from '../synth/npz_writer.ts';

/*
 * Fine-tunes of fixtures/shapes with two tokens of their own behind <image>, as add_tokens and
 * resize_token_embeddings leave them (cases/added-tokens): <act0> is a stronger "orange" and <act1> another word, so
 * that the originals say <act0> where the base says "orange".
 */

const BASE = 'fixtures/shapes/hf';
const TABLE = 'language_model.model.embed_tokens.weight';
const IMAGE = 1538;
/** Texts by id, and the row of the base that each is made of. */
const OWN = [
  { id: 1539, content: '<act0>', like: 329 },
  { id: 1540, content: '<act1>', like: 291 },
] as const;
const STRONGER = 1.15;

/** What is asked, and the tokens that transformers 5.17 answers on the checkpoint. */
export const OWN_QUESTION = {
  image: 'fixtures/shapes/images/002.png',
  prompt: 'answer en what color is the triangle?',
  tokens: [1539, 1],
} as const;

export const OWN_ROWS = 1541;

/** The base's table with rows for both, cut or padded to `rows`. */
export async function ownTable(rows = OWN_ROWS): Promise<TensorData> {
  const base = await openCheckpoint(BASE);
  try {
    const table = tensorData(await readTensor(base.tensors.get(TABLE)!));
    const own = OWN.map(({ like }) => mapData(sliceRows(table, like, like + 1), (x) => x * STRONGER));
    const parts = [sliceRows(table, 0, IMAGE + 1), ...own, sliceRows(table, OWN_ROWS, rows)];
    return tensorData(await readTensor(concatRows(parts)));
  } finally {
    await base.close();
  }
}

/** tokenizer.json of the base with both tokens. */
export async function ownTokenizer(): Promise<string> {
  const json = JSON.parse(await readFile(join(BASE, 'tokenizer.json'), 'utf8')) as { added_tokens: object[] };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  json.added_tokens.push(...OWN.map(({ id, content }) => ({ id, content, ...flags })));
  return JSON.stringify(json);
}

/** Where a folder says which tokens it added. */
export type Where = 'tokenizer.json' | 'added_tokens.json' | 'tokenizer_config.json';

/** A Hugging Face folder of `rows` rows. */
export async function writeOwnCheckpoint(
  out: string,
  { rows = OWN_ROWS, where = 'tokenizer.json' }: { readonly rows?: number; readonly where?: Where } = {},
): Promise<string> {
  await mkdir(out, { recursive: true });
  const base = await openCheckpoint(BASE);
  try {
    const tensors = new Map(base.tensors).set(TABLE, await ownTable(rows));
    await writeSafetensors(
      join(out, 'model.safetensors'),
      [...tensors].map(([name, data]) => ({ name, data })),
      { format: 'pt' },
    );
  } finally {
    await base.close();
  }
  for (const name of ['generation_config.json', 'preprocessor_config.json', 'tokenizer_config.json', 'tokenizer.json'])
    await copyFile(join(BASE, name), join(out, name));
  const config = JSON.parse(await readFile(join(BASE, 'config.json'), 'utf8')) as { text_config: object };
  await writeFile(
    join(out, 'config.json'),
    JSON.stringify({ ...config, text_config: { ...config.text_config, vocab_size: rows } }),
  );
  await writeTokens(out, where);
  return out;
}

async function writeTokens(out: string, where: Where): Promise<void> {
  if (where === 'tokenizer.json') return writeFile(join(out, where), await ownTokenizer());
  const path = join(out, where);
  if (where === 'added_tokens.json')
    return writeFile(path, JSON.stringify(Object.fromEntries(OWN.map(({ id, content }) => [content, id]))));
  const config = JSON.parse(await readFile(path, 'utf8')) as object;
  const decoder = Object.fromEntries(OWN.map(({ id, content }) => [String(id), { content, special: false }]));
  return writeFile(path, JSON.stringify({ ...config, added_tokens_decoder: decoder }));
}

/** A big_vision file with the same table. */
export async function writeOwnNpz(out: string, rows = OWN_ROWS): Promise<string> {
  const base = await openCheckpoint('fixtures/shapes/bv_f32.npz');
  try {
    const table = await ownTable(rows);
    const isTable = (name: string) => name.endsWith('llm/embedder/input_embedding');
    await writeNpz(
      out,
      [...base.tensors].map(([name, data]) => ({ name, data: isTable(name) ? table : data })),
    );
  } finally {
    await base.close();
  }
  return out;
}

/** An adapter of no change but the tables, as PEFT saves resized ones. */
export async function writeOwnAdapter(
  out: string,
  { rows = OWN_ROWS, tokenizer = true, indices = false } = {},
): Promise<string> {
  await mkdir(out, { recursive: true });
  const config = JSON.parse(await readFile('fixtures/shapes/lora-shapes/adapter_config.json', 'utf8')) as object;
  const table = await ownTable(rows);
  const E = 'base_model.model.model.language_model.embed_tokens';
  const trained = sliceRows(table, IMAGE + 1, OWN_ROWS);
  await writeSafetensors(
    join(out, 'adapter_model.safetensors'),
    indices
      ? [{ name: `${E}.token_adapter.trainable_tokens_delta`, data: trained }]
      : [
          { name: `${E}.weight`, data: table },
          { name: 'base_model.model.lm_head.weight', data: table },
        ],
  );
  await writeFile(
    join(out, 'adapter_config.json'),
    JSON.stringify({
      ...config,
      target_modules: [],
      ...(indices && { trainable_token_indices: OWN.map(({ id }) => id) }),
    }),
  );
  if (tokenizer) await writeFile(join(out, 'tokenizer.json'), await ownTokenizer());
  return out;
}
