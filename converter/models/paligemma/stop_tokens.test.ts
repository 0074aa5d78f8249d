import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stopTokens } from '../../../ir/metadata.ts';
import type { SidecarName } from '../../checkpoints/checkpoint.ts';
import type { InputFile } from '../../inputs/input_file.ts';
import { inputsOfTests } from '../../inputs/testing/inputs_of_tests.ts';
import { openCheckpoint } from '../../checkpoints/index.ts';
import { loadModel } from '../index.ts';
import { readStopTokens } from './stop_tokens.ts';

const inputs = inputsOfTests();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgconv-stops-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function stopsOf(generation: object | string | undefined, config?: unknown) {
  const file = join(folder, 'generation_config.json');
  if (generation !== undefined)
    await writeFile(file, typeof generation === 'string' ? generation : JSON.stringify(generation));
  const sidecars = new Map<SidecarName, InputFile>(
    generation === undefined ? [] : [['generation_config.json', await inputs().open(file)]],
  );
  return readStopTokens({ sidecars, config }, { eosTokenId: 1, vocabSize: 400 });
}

test('all of generation_config.json, in its order', async () => {
  expect(await stopsOf({ eos_token_id: [340, 1, 340] })).toEqual({
    stopTokenIds: [340, 1],
    inferences: [{ field: 'stopTokenIds', value: '340, 1', from: 'generation_config.json eos_token_id' }],
  });
  expect((await stopsOf({ eos_token_id: 340 })).stopTokenIds, 'in place of the model’s').toEqual([340]);
  expect((await stopsOf({ eos_token_id: [1, 107] }, { eos_token_id: [1, 2] })).stopTokenIds).toEqual([1, 107]);
});

test('without it config.json says, then its text_config', async () => {
  expect((await stopsOf(undefined, { eos_token_id: [1, 107], text_config: { eos_token_id: 5 } })).stopTokenIds).toEqual(
    [1, 107],
  );
  expect((await stopsOf({ eos_token_id: null }, { text_config: { eos_token_id: [1, 6] } })).stopTokenIds).toEqual([
    1, 6,
  ]);
});

test('the model’s own alone is nothing to say', async () => {
  const nothing = { inferences: [] };
  for (const said of [undefined, {}, { eos_token_id: 1 }, { eos_token_id: [1, 1] }, { eos_token_id: [1, 400] }])
    expect(await stopsOf(said), JSON.stringify(said)).toEqual(nothing);
  expect(await stopsOf({ eos_token_id: [400, 9999] }), 'none that the model can say').toEqual(nothing);
});

test('a damaged file is told by its name', async () => {
  for (const said of ['{', '[]', { eos_token_id: [] }, { eos_token_id: 'eos' }, { eos_token_id: [-1] }])
    await expect(stopsOf(said), JSON.stringify(said)).rejects.toMatchObject({
      code: 'bad_sidecar',
      place: { file: join(folder, 'generation_config.json') },
    });
});

test('of a list in config.json the end token is Gemma’s, wherever it stands; all of them end answers', async () => {
  const checkpoint = await openCheckpoint('fixtures/pg1-tiny/hf');
  try {
    const endings = async (eos: unknown) => {
      const config = { ...(checkpoint.config as object), eos_token_id: eos };
      const { program } = await loadModel({ ...checkpoint, config, sidecars: new Map() });
      return [program.metadata.eosTokenId, stopTokens(program.metadata)];
    };
    expect(await endings([7, 1])).toEqual([1, [7, 1]]);
    expect(await endings([7, 8])).toEqual([7, [7, 8]]);
    expect(await endings(1)).toEqual([1, [1]]);
    expect(await endings(null)).toEqual([1, [1]]);
  } finally {
    await checkpoint.close();
  }
});
