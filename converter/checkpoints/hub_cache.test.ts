import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { downloadHint, hubCache, hubName, parseHubId } from './hub_cache.ts';
import { openCheckpoint } from './index.ts';
import { expectRefusal } from './testing/expect_refusal.ts';
import { rawSafetensors } from './testing/raw_safetensors.ts';
import { tempFolder } from './testing/temp_folder.ts';

const [MAIN, OLD] = ['a'.repeat(40), 'b'.repeat(40)];
const HASH = 'c'.repeat(64);
const WEIGHTS = rawSafetensors({ w: ['F32', [1]] });
const NPZ = readFileSync(join(import.meta.dirname, '../../fixtures/pg1-tiny/bv_bf16.npz'));

afterEach(() => vi.unstubAllEnvs());

/** A cache as `hf download me/pg` leaves it, of main and of the pull request 1. */
function cacheWith(files: Readonly<Record<string, Uint8Array | string>> = {}): string {
  const cache = tempFolder({
    [`models--me--pg/blobs/${HASH}`]: WEIGHTS,
    'models--me--pg/refs/main': MAIN,
    'models--me--pg/refs/refs/pr/1': `${OLD}\n`,
    [`models--me--pg/snapshots/${OLD}/config.json`]: '{"model_type":"old"}',
    [`models--me--pg/snapshots/${MAIN}/config.json`]: '{"model_type":"new"}',
    ...files,
  });
  for (const commit of [MAIN, OLD])
    symlinkSync(`../../blobs/${HASH}`, join(cache, `models--me--pg/snapshots/${commit}/model.safetensors`));
  vi.stubEnv('HF_HUB_CACHE', cache);
  return cache;
}

test.each<[string, ReturnType<typeof parseHubId>]>([
  ['google/paligemma-3b-pt-224', { repo: 'google/paligemma-3b-pt-224', revision: undefined }],
  ['google/paligemma2-3b@float16', { repo: 'google/paligemma2-3b', revision: 'float16' }],
  ['me/pg@refs/pr/1', { repo: 'me/pg', revision: 'refs/pr/1' }],
  ['./me/pg', undefined],
  ['/me/pg', undefined],
  ['me', undefined],
  ['me/pg/x', undefined],
  ['me/..', undefined],
  ['../pg', undefined],
  ['me/pg@../../x', undefined],
  ['me/a--b', undefined],
  ['C:\\me\\pg', undefined],
])('%s as an id', (given, id) => expect(parseHubId(given)).toEqual(id));

test.each<[string, Readonly<Record<string, string>>, string]>([
  ['HF_HUB_CACHE', { HF_HUB_CACHE: '/c', HF_HOME: '/h', XDG_CACHE_HOME: '/x' }, '/c'],
  ['its old name', { HUGGINGFACE_HUB_CACHE: '/o', HF_HOME: '/h' }, '/o'],
  ['HF_HOME', { HF_HOME: '/h', XDG_CACHE_HOME: '/x' }, '/h/hub'],
  ['XDG_CACHE_HOME', { XDG_CACHE_HOME: '/x', HF_HOME: '' }, '/x/huggingface/hub'],
  ['nothing', {}, join(homedir(), '.cache/huggingface/hub')],
  ['a home', { HF_HOME: '~/hf' }, join(homedir(), 'hf/hub')],
])('the cache by %s', (_, env, folder) => expect(hubCache(env)).toBe(folder));

describe('a model in the cache', () => {
  test.each([
    ['me/pg', MAIN, 'new'],
    ['me/pg@main', MAIN, 'new'],
    ['me/pg@refs/pr/1', OLD, 'old'],
    [`me/pg@${OLD}`, OLD, 'old'],
  ])('%s', async (given, commit, type) => {
    const cache = cacheWith();
    const opened = await openCheckpoint(given);
    expect(opened).toMatchObject({
      path: join(cache, 'models--me--pg/snapshots', commit),
      config: { model_type: type },
      warnings: [],
    });
    expect([...opened.tensors.keys()]).toEqual(['w']);
    await opened.close();
  });

  test('an .npz, and a part of it', async () => {
    const cache = cacheWith({
      'models--me--jax/refs/main': MAIN,
      [`models--me--jax/snapshots/${MAIN}/pg.npz`]: NPZ,
    });
    for (const given of ['me/jax', 'me/jax:llm']) {
      const opened = await openCheckpoint(given);
      expect(opened).toMatchObject({
        format: 'big_vision',
        path: join(cache, `models--me--jax/snapshots/${MAIN}/pg.npz`),
      });
      await opened.close();
    }
  });

  test('the cache’s folder of it: the snapshot that main names', async () => {
    const cache = cacheWith();
    const opened = await openCheckpoint(join(cache, 'models--me--pg'));
    expect(opened.path).toBe(join(cache, 'models--me--pg/snapshots', MAIN));
    expect(opened.warnings).toEqual([`The snapshot snapshots/${MAIN}, which is the revision main, was used.`]);
    await opened.close();
  });

  test('a folder of that name comes first', async () => {
    cacheWith({
      'models--fixtures--shapes/refs/main': MAIN,
      [`models--fixtures--shapes/snapshots/${MAIN}/model.safetensors`]: WEIGHTS,
    });
    const opened = await openCheckpoint('fixtures/shapes');
    expect(opened.path).toBe(resolve('fixtures/shapes/hf'));
    await opened.close();
  });
});

describe('what is not there: the command that downloads it', () => {
  test.each<[string, string, RegExp, RegExp]>([
    [
      'no such model',
      'google/paligemma-3b-mix-224',
      /no such file or folder, and no model "google\/paligemma-3b-mix-224" in the Hub’s cache \(/,
      /: hf download google\/paligemma-3b-mix-224 \(before/,
    ],
    [
      'no such revision',
      'me/pg@float16',
      /has me\/pg, but not its revision "float16"; it has main, refs/,
      /hf download me\/pg --revision float16 /,
    ],
    ['no such commit', `me/pg@${'d'.repeat(40)}`, /not its revision "dddd/, /--revision d{40} /],
  ])('%s', async (_, given, message, hint) => {
    cacheWith();
    const error = await expectRefusal(
      async () => (await openCheckpoint(given)).close(),
      resolve(given.replace(/@.*/, '')),
      { name: 'UsageError', code: 'not_found', message },
    );
    expect(error.place.hint).toMatch(hint);
  });

  test('a snapshot of which only the config, or not all shards, are there', async () => {
    const cache = cacheWith({
      'models--me--part/refs/main': MAIN,
      [`models--me--part/snapshots/${MAIN}/config.json`]: '{}',
    });
    const folder = join(cache, `models--me--part/snapshots/${MAIN}`);
    const refused = await expectRefusal(async () => (await openCheckpoint('me/part')).close(), folder, {
      code: 'no_weights',
      message: /it holds config\.json/,
    });
    expect(refused.place.hint).toBe(`complete the download: hf download me/part --revision ${MAIN}`);
    mkdirSync(join(cache, 'models--me--part/blobs'));
    symlinkSync(`../../blobs/${HASH}`, join(folder, 'model.safetensors'));
    const dangling = await expectRefusal(
      async () => (await openCheckpoint('me/part')).close(),
      join(folder, 'model.safetensors'),
      { code: 'missing_shards', message: /a file is missing/ },
    );
    expect(dangling.place.hint).toMatch(/hf download me\/part/);
  });

  test('a ref that leads elsewhere names nothing', async () => {
    const cache = cacheWith();
    rmSync(join(cache, 'models--me--pg/refs/main'));
    symlinkSync('/etc/hostname', join(cache, 'models--me--pg/refs/main'));
    await expect(openCheckpoint('me/pg')).rejects.toMatchObject({ code: 'not_found' });
  });
});

test('names of outputs, and hints outside of a cache', () => {
  expect(hubName('me/pg@refs/pr/1')).toBe('me/pg');
  expect(hubName('me/pg')).toBe('me/pg');
  expect(hubName('me/pg@v1:img')).toBe('me/pg');
  expect(hubName('./me/a.npz:img')).toBe('./me/a.npz:img');
  expect(hubName('fixtures/shapes')).toBe('fixtures/shapes');
  expect(hubName('./pg@2')).toBe('./pg@2');
  expect(downloadHint('/home/me/pg', 'else')).toBe('else');
});
