import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DType } from '../../../ir/dtypes/index.ts';
import { randomSource } from '../../../ir/random_source.ts';
import { elementCount, readTensor, tensorData, tensorOf, type TensorData } from '../../../ir/tensor.ts';
import { padRows } from '../../../ir/views/concat.ts';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { openCheckpoint } from '../../checkpoints/index.ts';
import { PgconvError } from '../../errors.ts';
import type { KnownTokens } from '../../sidecars/known_tokens.ts';
import { loadModel } from '../index.ts';
import { folderEntries } from './folder_files.ts';
import type { LedgerEntry } from './ledger.ts';

/*
 * Something is added to a sound checkpoint: a tensor, rows of a table, a file. It changes the bundle, is an error, or
 * stands in the ledger as left out for a reason whose condition is checked here by other means. It is never unlisted.
 */

/** PGCONV_LEDGER_CASES: once, 50,000 were run. */
const CASES = Number(process.env['PGCONV_LEDGER_CASES'] ?? 1000);
const TABLE = 'language_model.model.embed_tokens.weight';

let bases: Readonly<Record<'huggingface' | 'big_vision', Checkpoint>>;
let folder: string;
beforeAll(async () => {
  bases = {
    huggingface: await openCheckpoint('fixtures/pg1-tiny/hf'),
    big_vision: await openCheckpoint('fixtures/pg1-tiny/bv_f32.npz'),
  };
  folder = await mkdtemp(join(tmpdir(), 'pgconv-ledger-'));
});
afterAll(async () => {
  for (const base of Object.values(bases)) await base.close();
  await rm(folder, { recursive: true });
});

type Random = () => number;
const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;

/** Parts that names of tensors are made of, real ones and none. */
const PARTS = [
  ...['model', 'language_model', 'vision_tower', 'vision_model', 'multi_modal_projector', 'lm_head', 'base_model'],
  ...['layers', 'encoder', 'embeddings', 'head', 'self_attn', 'mlp', 'q_proj', 'gate_proj', 'linear', 'rotary_emb'],
  ...['0', '1', '2', '99', 'lora_A', 'lora_B', 'default', 'modules_to_save', 'adapter', 'action_in_proj', 'norm'],
  ...['img', 'llm', 'params', 'opt', 'chrono', 'txt', 't', 'lora_a', 'lora_b', 'w', 'einsum', 'x', 'extra', 'ema'],
  ...['weight', 'bias', 'position_ids', 'inv_freq', 'probe', 'scale', 'kernel', 'qweight', 'absmax', 'fc1'],
];

function nameOf(random: Random, known: readonly string[], separator: string): string {
  const made = () => Array.from({ length: 1 + Math.floor(random() * 5) }, () => pick(random, PARTS)).join(separator);
  const own = pick(random, known);
  return pick(random, [
    made,
    made,
    () => `${own}${separator}${pick(random, PARTS)}`,
    () => `${pick(random, PARTS)}${separator}${own}`,
    () => own.replace(/\d+/, String(Math.floor(random() * 40))),
    () => own.replace(/^model\.|^language_model\./, ''),
    () => pick(random, ['vision_tower.vision_model.head.probe', 'vision_tower.vision_model.embeddings.position_ids']),
    () =>
      pick(random, ['model.language_model.rotary_emb.inv_freq', 'opt/0/count', 'chrono/steps', 'b', 'txt/head/bias']),
    () => pick(random, ['step', 'params/img/extra', 'state_proj.weight', 'lm_head.weight', 'lm_head.bias']),
  ])();
}

function tensorNamed(random: Random, name: string): TensorData {
  const dtype = pick<DType>(random, ['f32', 'f16', 'bf16', 'i64', 'i32', 'u8', 'bool']);
  const shape = pick(random, [[], [1], [4], [16], [1, 4], [8], [3, 2], [64], [64, 64], [511, 64], [512, 64]]);
  const count = elementCount(shape);
  const values =
    random() < 0.4 ? Array.from({ length: count }, (_, i) => i) : Array.from({ length: count }, () => random());
  const whole = dtype.startsWith('f') || dtype === 'bf16' ? values : values.map((x) => Math.floor(x) % 2);
  return { ...tensorData(tensorOf(dtype, shape, whole)), from: { file: 'added', key: name, byteOffset: 0 } };
}

async function ledgerWith(base: Checkpoint, tensors: Checkpoint['tensors'], tokens?: KnownTokens) {
  try {
    return await loadModel({ ...base, tensors }, { tokens });
  } catch (error) {
    expect(error).toBeInstanceOf(PgconvError);
    return undefined;
  }
}

/** The entries of a tensor cover each of its rows once. */
function expectWhole(entries: readonly LedgerEntry[], rows: number): void {
  for (const { used, equal, leftOut } of entries) expect([used, equal, leftOut].filter(Boolean)).toHaveLength(1);
  if (entries.length === 1 && !entries[0]!.rows) return;
  let next = 0;
  for (const { rows: [begin, end] = [Number.NaN, Number.NaN] } of entries) {
    expect(begin).toBe(next);
    next = end;
  }
  expect(next).toBe(rows);
}

/** What each reason claims, told from the tensor alone. */
async function conditionHolds(reason: string, name: string, data: TensorData): Promise<boolean> {
  const values = async () => [...(await readTensor(data)).data];
  switch (reason) {
    case 'position_ids':
      return name.endsWith('position_ids') && (await values()).every((x, i) => x === i);
    case 'rope_frequencies':
      return (await values()).every((x, i) => Math.abs(x * 10000 ** (i / 16) - 1) < 0.02);
    case 'vision_head':
      return /vision_tower\..*head\.(?:probe|attention|layernorm|mlp)/.test(name);
    case 'training_state':
      return /^(?:opt|opt_state|chrono|step)\b/.test(name.replace(/^params\//, ''));
    case 'contrastive':
      return /^(?:params\/)?(?:txt\/|[tb]$)/.test(name);
    default:
      return false;
  }
}

test(`${CASES} additions change the bundle, are refused, or are left out for a reason that holds`, async () => {
  const counts = { refused: 0, used: 0, equal: 0, leftOut: 0 };
  for (let seed = 1; seed <= CASES; seed++) {
    const random = randomSource(seed);
    const kind = pick(random, ['tensor', 'tensor', 'tensor', 'rows', 'file', 'head'] as const);
    const outcome = await { tensor: addTensor, rows: addRows, file: addFile, head: addHead }[kind](random, seed);
    counts[outcome]++;
  }
  if (process.env['PGCONV_LEDGER_CASES']) process.stdout.write(`${JSON.stringify(counts)}\n`);
  // each of them does happen
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
}, 3_600_000);

type Outcome = 'refused' | 'used' | 'equal' | 'leftOut';

async function addTensor(random: Random, seed: number): Promise<Outcome> {
  const base = bases[pick(random, ['huggingface', 'big_vision'] as const)];
  const separator = base.format === 'huggingface' ? '.' : '/';
  const name = nameOf(random, [...base.tensors.keys()], separator);
  const data = tensorNamed(random, name);
  const model = await ledgerWith(base, new Map([...base.tensors, [name, data]]));
  if (!model) return 'refused';
  const entries = model.ledger.filter(({ tensor }) => tensor === name);
  expect(entries.length, `seed ${seed}: "${name}" is not in the ledger`).toBeGreaterThan(0);
  expectWhole(entries, data.shape[0] ?? 1);
  const [{ used, equal, leftOut }] = entries as [LedgerEntry];
  if (leftOut) {
    expect(await conditionHolds(leftOut, name, data), `seed ${seed}: "${name}" ${leftOut}`).toBe(true);
    return 'leftOut';
  }
  if (equal) return 'equal';
  // it is a weight of some graph, by the name that its data carries
  const constants = model.program.graphs.flatMap((graph) => graph.constants);
  const isThere = constants.some((constant) => constant.kind === 'weight' && constant.data.from?.key === name);
  expect(isThere || base.tensors.has(name) || used!.length > 0, `seed ${seed}: "${name}"`).toBe(true);
  expect(isThere, `seed ${seed}: "${name}" is said to be used as ${used!.join()} and is in no graph`).toBe(true);
  return 'used';
}

/** A head: the embedding again, or with one value changed, which makes it a matrix of its own. */
async function addHead(random: Random, seed: number): Promise<Outcome> {
  const base = bases.huggingface;
  const name = pick(random, ['lm_head.weight', 'language_model.lm_head.weight', 'model.language_model.lm_head.weight']);
  const table = await readTensor(base.tensors.get(TABLE)!);
  const isCopy = random() < 0.5;
  const values = table.data.slice();
  if (!isCopy) values[Math.floor(random() * values.length)]! += 1;
  const data = { ...tensorData({ ...table, data: values }), from: { file: 'added', key: name, byteOffset: 0 } };
  const model = await ledgerWith(base, new Map([...base.tensors, [name, data]]));
  expect(model, `seed ${seed}`).toBeDefined();
  const entries = model!.ledger.filter(({ tensor }) => tensor === name);
  expectWhole(entries, data.shape[0]!);
  expect(
    entries.map(({ equal }) => equal),
    `seed ${seed}`,
  ).toEqual([isCopy ? { to: TABLE, compared: true } : undefined]);
  const decoder = model!.program.graphs.find((graph) => graph.name === 'decoder')!;
  expect(decoder.constants.some((c) => c.kind === 'weight' && c.data.from?.key === name)).toBe(!isCopy);
  return isCopy ? 'equal' : 'used';
}

async function addRows(random: Random, seed: number): Promise<Outcome> {
  const base = bases.huggingface;
  const before = base.tensors.get(TABLE)!;
  const rows = before.shape[0]! + Math.floor(random() * 80);
  const table: TensorData = { ...padRows(before, rows), from: before.from! };
  const end = random() < 0.3 ? undefined : 500 + Math.floor(random() * 120);
  const tokens = end === undefined ? undefined : tokensUpTo(end);
  const model = await ledgerWith(base, new Map(base.tensors).set(TABLE, table), tokens);
  if (!model) return 'refused';
  const entries = model.ledger.filter(({ tensor }) => tensor === TABLE);
  expectWhole(entries, rows);
  const { vocabSize, imageTokenId } = model.program.metadata;
  for (let row = 0; row < rows; row++) {
    const entry = entries.find(({ rows: range }) => !range || (range[0] <= row && row < range[1]))!;
    // what a tokenizer names is a token; what it does not, behind <image>, is padding, or was kept
    if (row !== imageTokenId && row < (end ?? 0)) expect(entry.used, `seed ${seed}, row ${row}`).toEqual(['lm.embed']);
    expect(entry.used !== undefined, `seed ${seed}, row ${row}`).toBe(
      row < vocabSize && (row !== imageTokenId || vocabSize === imageTokenId + 1),
    );
  }
  return entries.some(({ leftOut }) => leftOut) ? 'leftOut' : 'used';
}

function tokensUpTo(end: number): KnownTokens {
  return { file: 'tokenizer.json', end, imageTokenId: 511, maskTokenId: undefined, added: new Map() };
}

async function addFile(random: Random, seed: number): Promise<Outcome> {
  const stems = [
    'README',
    'model',
    'pytorch_model',
    'adapter_model',
    'optimizer',
    'notes',
    'modeling_x',
    'LICENSE',
    'x',
  ];
  const ends = ['.md', '.safetensors', '.bin', '.py', '.txt', '', '.json', '.jpg', '.gguf', '.xyz'];
  const name = `${pick(random, stems)}${pick(random, ends)}`;
  const contents = ['', 'text', '{}', 'GGUF....', '\u0080\u0004pickle', 'PK\u0003\u0004'];
  const content = Buffer.from(pick(random, contents), 'latin1');
  await writeFile(join(folder, name), content);
  const { config } = bases.huggingface;
  const remote = random() < 0.1 ? { auto_map: { AutoModelForCausalLM: 'modeling_x.X' } } : {};
  try {
    const entries = await folderEntries({
      format: 'huggingface',
      path: folder,
      files: [],
      config: { ...(config as object), ...remote },
      sidecars: new Map(),
    }).catch((error: unknown) => {
      expect(error).toBeInstanceOf(PgconvError);
      expect(remote).not.toEqual({});
      return undefined;
    });
    if (!entries) return 'refused';
    expect(entries, `seed ${seed}: ${name}`).toHaveLength(1);
    const { leftOut } = entries[0]!;
    const looksLikeWeights = /GGUF|pickle|PK/.test(content.toString('latin1'));
    if (leftOut === 'no_weights') expect(looksLikeWeights || /\.(?:safetensors|bin|gguf|py)$/.test(name)).toBe(false);
    else expect(leftOut).toBeDefined();
    return 'leftOut';
  } finally {
    await rm(join(folder, name));
  }
}
