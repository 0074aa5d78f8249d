import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refused, taken, type HostileInput, type Outcome } from './entry.ts';

const SHARD = 'model-00001-of-00004.safetensors';
const INDEX = 'model.safetensors.index.json';

/** A model that was damaged. */
const folder = (
  input: string,
  damage: (dir: string) => Promise<unknown>,
  outcome: Outcome,
  command: (dir: string) => readonly string[] = (dir) => ['inspect', dir],
): HostileInput => ({
  input,
  outcome,
  async make(dir) {
    await cp('fixtures/pg1-tiny/hf', dir, { recursive: true });
    await damage(dir);
    return command(dir);
  },
});

async function editJson(path: string, edit: (json: unknown) => void): Promise<void> {
  const json: unknown = JSON.parse(await readFile(path, 'utf8'));
  edit(json);
  await writeFile(path, JSON.stringify(json));
}

type Index = { metadata: Record<string, unknown>; weight_map: Record<string, string> };
const index = (edit: (json: Index) => void) => (dir: string) =>
  editJson(join(dir, INDEX), (json) => edit(json as Index));
type Config = Record<string, Record<string, unknown>>;
const config = (edit: (json: Config) => void) => (dir: string) =>
  editJson(join(dir, 'config.json'), (json) => edit(json as Config));
/** Something else in the place of a file. */
const instead = (name: string, make: (path: string) => unknown) => async (dir: string) => {
  await rm(join(dir, name), { force: true });
  await make(join(dir, name));
};
const fifo = (path: string) => execFileSync('mkfifo', [path]);
const named = (name: string) =>
  index((json) => {
    json.weight_map[Object.keys(json.weight_map)[0]!] = name;
  });

export const FOLDER_INPUTS: readonly HostileInput[] = [
  ...['../../etc/passwd', '/etc/passwd', String.raw`C:\x`, String.raw`\\host\x`, 'a/../b', '%2e%2e/x'].map((name) =>
    folder(`weight_map names \`${name}\``, named(name), refused('unsafe_path')),
  ),
  folder(
    'a shard that is a link out of the folder',
    async (dir) => {
      await rename(join(dir, SHARD), `${dir}-outside`);
      await symlink(`${dir}-outside`, join(dir, SHARD));
    },
    refused('outside_checkpoint'),
  ),
  {
    input: 'a shard that is a link within a Hugging Face cache',
    outcome: taken(),
    by: ['converter/checkpoints/huggingface.test.ts', 'a symlink that stays inside, and those of a Hugging Face cache'],
  },
  folder('a shard that is a FIFO', instead(SHARD, fifo), refused('not_a_file')),
  folder(
    'a shard that is a link to a device',
    instead(SHARD, (path) => symlink('/dev/zero', path)),
    refused('outside_checkpoint'),
  ),
  folder('a shard that is a folder', instead(SHARD, mkdir), refused('not_a_file')),
  folder('a missing shard: all are listed, with sizes', (dir) => rm(join(dir, SHARD)), refused('missing_shards')),
  folder(
    'a tensor that is listed, and absent',
    index((json) => {
      json.weight_map['absent'] = SHARD;
    }),
    refused('missing_tensor'),
  ),
  {
    input: 'one tensor in two shards',
    outcome: refused('duplicate_tensor'),
    by: ['converter/checkpoints/huggingface.test.ts', 'one tensor in two shards'],
  },
  folder(
    'a wrong total_size',
    index((json) => {
      json.metadata['total_size'] = 1;
    }),
    taken('a warning'),
  ),
  {
    input: 'a shard of another revision: its name and both shapes',
    outcome: refused('shard_revision'),
    by: ['converter/checkpoints/huggingface.test.ts', 'a shard of another revision'],
  },
  folder(
    '`hidden_size: 1e12`',
    config((json) => {
      json['text_config']!['hidden_size'] = 1e12;
    }),
    refused('bad_config'),
  ),
  folder(
    '`num_hidden_layers: -1`',
    config((json) => {
      json['text_config']!['num_hidden_layers'] = -1;
    }),
    refused('bad_config'),
  ),
  folder(
    '`max_position_embeddings: 1e9`',
    config((json) => {
      json['text_config']!['max_position_embeddings'] = 1e9;
    }),
    refused('bad_config'),
  ),
  folder(
    'only `pytorch_model.bin`',
    async (dir) => {
      for (const name of [INDEX, ...[1, 2, 3, 4].map((i) => `model-0000${i}-of-00004.safetensors`)])
        await rm(join(dir, name));
      await writeFile(join(dir, 'pytorch_model.bin'), Buffer.from('80028a0a6cfc9c46f920', 'hex'));
    },
    refused('pickle_refused'),
  ),
  folder(
    'a Git LFS pointer in the place of a shard',
    (dir) => writeFile(join(dir, SHARD), 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n'),
    refused('git_lfs_pointer'),
  ),
  folder(
    'an HTML page in the place of a shard',
    (dir) => writeFile(join(dir, SHARD), '<!doctype html><html><title>Sign in</title></html>'),
    refused('html_page'),
  ),
  ...['config.json', INDEX, 'tokenizer.json', 'generation_config.json', 'preprocessor_config.json'].map((name) =>
    folder(`\`${name}\` that is a FIFO`, instead(name, fifo), refused('not_a_file')),
  ),
  folder(
    'a tokenizer that is a link out of the folder',
    instead('tokenizer.json', (path) => symlink('/etc/hostname', path)),
    refused('outside_checkpoint'),
  ),
  folder(
    '`auto_map` with a model of its own',
    config((json) => {
      json['auto_map'] = { AutoModel: 'evil.Model' };
    }),
    refused('remote_code'),
  ),
  {
    input: '`auto_map`, `trust_remote_code`, `custom_generate`, `chat_template` elsewhere',
    outcome: taken('left out of the bundle, with a note'),
    by: ['converter/sidecars/remote_code.test.ts', 'no file of a bundle has any, and each says what it left out'],
  },
];
