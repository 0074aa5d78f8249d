import { expect, test } from 'vitest';
import { tempFolders } from '../testing/bundle.ts';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SidecarName } from '../checkpoints/checkpoint.ts';
import { inputsOfTests, openAll } from '../inputs/testing/inputs_of_tests.ts';
import { knownTokens } from './known_tokens.ts';

const folder = tempFolders();
const inputs = inputsOfTests();
const TOKENIZER = {
  model: { type: 'BPE', vocab: { a: 0, b: 1, '<image>': 7 }, merges: [] },
  added_tokens: [
    { id: 7, content: '<image>' },
    { id: 8, content: '<own>' },
  ],
};

async function of(files: Partial<Record<SidecarName, object | string>>) {
  const dir = await folder();
  const paths = new Map<SidecarName, string>();
  for (const [name, content] of Object.entries(files)) {
    const path = join(dir, name);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    paths.set(name as SidecarName, path);
  }
  return knownTokens(await openAll(inputs(), paths));
}

test('a vocabulary and what was added to it: where tokens end, and which is <image>', async () => {
  expect(await of({ 'tokenizer.json': TOKENIZER })).toMatchObject({
    end: 9,
    imageTokenId: 7,
    maskTokenId: undefined,
    added: new Map([
      [7, '<image>'],
      [8, '<own>'],
    ]),
  });
});

test('tokens of added_tokens.json and of added_tokens_decoder count, each text once', async () => {
  const lists = {
    'added_tokens.json': { '<own>': 20, '<more>': 9 },
    'tokenizer_config.json': { added_tokens_decoder: { '10': { content: '<mask>', special: true } } },
  };
  expect(await of({ 'tokenizer.json': TOKENIZER, ...lists })).toMatchObject({ end: 11, maskTokenId: 10 });
  expect(await of(lists)).toMatchObject({ end: 21, imageTokenId: undefined });
});

test('no tokenizer is none, and a damaged one is told by the strict reader', async () => {
  expect(await of({ 'generation_config.json': {} })).toBeUndefined();
  expect(await of({ 'tokenizer_config.json': {} })).toBeUndefined();
  await expect(of({ 'tokenizer.json': '{"model": ' })).rejects.toMatchObject({ code: 'bad_sidecar' });
  await expect(of({ 'added_tokens.json': { '<own>': -1 } })).rejects.toMatchObject({ code: 'bad_tokenizer' });
});
