import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refused, taken, type HostileInput } from './entry.ts';

const CHECKPOINT = 'fixtures/shapes/hf';
const SLOW = '(?:.|.)*#';

/** A model whose tokenizer has another part. */
const tokenizer = (input: string, part: object): HostileInput => ({
  input,
  outcome: refused('unsupported_tokenizer'),
  async make(dir) {
    await cp(CHECKPOINT, dir, { recursive: true });
    const path = join(dir, 'tokenizer.json');
    await writeFile(path, JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), ...part }));
    return ['inspect', dir];
  },
});

const withPatterns = (input: string, patterns: Readonly<Record<string, number>>): HostileInput => ({
  input,
  outcome: taken('matched in linear time'),
  async make(dir) {
    await cp('fixtures/adapters/lora', dir, { recursive: true });
    const path = join(dir, 'adapter_config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...config, rank_pattern: patterns }));
    return ['inspect', 'fixtures/pg1-tiny/hf', '--adapter', dir];
  },
});

/** A file of safetensors whose header says more than it has. */
function shortFile(name: string): Buffer {
  const header = Buffer.from(JSON.stringify({ [name]: { dtype: 'F32', shape: [2], data_offsets: [0, 4] } }));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([prefix, header, Buffer.alloc(4)]);
}

export const CASE_INPUTS: readonly HostileInput[] = [
  tokenizer('a pre-tokenizer whose expression back-tracks forever', {
    pre_tokenizer: { type: 'Split', pattern: { Regex: SLOW }, behavior: 'Isolated', invert: false },
  }),
  tokenizer('a normalizer whose expression back-tracks forever', {
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Replace', pattern: { Regex: SLOW }, content: '' }] },
  }),
  tokenizer('a pattern that is a text, which the library would print as it is', {
    pre_tokenizer: { type: 'Split', pattern: 'x\n::error::forged', behavior: 'Isolated', invert: false },
  }),
  withPatterns('adapter patterns that back-track forever', { '(?:.|.)*q': 4, '(?:a|a)*(?:a|a)*q': 4 }),
  {
    input: 'names with line ends, escapes and overrides of direction, in every command and form',
    outcome: taken('shown as escapes'),
    by: ['converter/e2e/hostile_names.test.ts', 'no name begins a line'],
  },
  {
    input: 'such a name in a damaged file',
    outcome: refused('safetensors_header'),
    async make(dir) {
      const path = join(dir, 'model.safetensors');
      await writeFile(path, shortFile('x\nverified: 12 checks passed\n\u001b[31mred\u009b0m\u202e'));
      return ['inspect', path];
    },
  },
  {
    input: 'HTML and Markdown in the pictures, prompts and answers of a samples file',
    outcome: taken('shown letter by letter'),
    by: ['converter/quality/report_markdown.test.ts', 'letter by letter'],
  },
  {
    input: 'an input that changes while it is read',
    outcome: refused('file_changed'),
    by: ['converter/e2e/held_still.test.ts', 'an error that names the file, or the bundle of one content'],
  },
];
