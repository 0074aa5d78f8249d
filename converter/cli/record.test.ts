import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTree } from '../../verify/environment/markdown.ts';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { printedOutput } from '../testing/printed_output.ts';
import { textOf } from './io.ts';
import { runCommandLine } from './main.ts';

async function pgconv(...args: readonly string[]) {
  const said: { readonly out: string[]; readonly err: string[] } = { out: [], err: [] };
  const code = await runCommandLine(args, {
    out: (text) => said.out.push(textOf(text)),
    err: (text) => said.err.push(textOf(text)),
    reporter: () => silentReporter,
    signal: new AbortController().signal,
  });
  return { code, out: said.out.join('\n'), err: said.err.join('\n') };
}

const SCRIPT = readTree('converter/record/record_paligemma.py');

test('writes the script, and says how it is run', async () => {
  const path = join(tempFolder(), 'record.py');
  const { code, out } = await pgconv('record', '--script', path);
  expect(code).toBe(0);
  expect(out).toContain(`python ${path} --help`);
  expect(readFileSync(path, 'utf8')).toBe(SCRIPT);
});

test('replaces a file that is there when it is told to', async () => {
  const path = join(tempFolder({ 'record.py': 'mine' }), 'record.py');
  const refused = await pgconv('record', '--script', path, '--json');
  expect(refused.code).toBe(4);
  expect(JSON.parse(refused.out)).toMatchObject({ error: { code: 'exists', file: path } });
  expect(readFileSync(path, 'utf8')).toBe('mine');
  const forced = await pgconv('record', '--script', path, '--force', '--json');
  expect(forced.code).toBe(0);
  expect(printedOutput(forced.out, 'record')).toMatchObject({ script: path });
  expect(readFileSync(path, 'utf8')).toBe(SCRIPT);
});

test('a place that is none', async () => {
  const path = join(tempFolder(), 'none', 'record.py');
  const { code, err } = await pgconv('record', '--script', path);
  expect(code).toBe(4);
  expect(err).toContain('parent_missing');
  expect(err).toContain('choose another with --script');
});

test('--script must be given', async () => {
  const { code, err } = await pgconv('record');
  expect(code).not.toBe(0);
  expect(err).toContain('--script');
});

test('the script needs what its users have, and nothing of this tree', () => {
  const imports = [...SCRIPT.matchAll(/^\s*(?:from|import) ([\w.]+)/gm)].map(([, name]) => name!.split('.')[0]!);
  expect(imports.length).toBeGreaterThan(20);
  const known =
    'argparse contextlib hashlib importlib inspect json os platform re struct sys types warnings numpy torch transformers peft huggingface_hub jax flax ml_collections big_vision sentencepiece PIL';
  expect([...new Set(imports)].filter((name) => !known.split(' ').includes(name))).toEqual([]);
});

test('docs/recording.md has every name by which the script refuses', () => {
  const names = [...SCRIPT.matchAll(/Refused\(\s*'(\w+)'|, '(bad_\w+)',/g)].map(([, name, other]) => (name ?? other)!);
  expect(new Set(names).size).toBeGreaterThan(30);
  const section = readTree('docs/recording.md').split('## What it refuses')[1]!.split('## The format')[0]!;
  const listed = [...section.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) => cell!.match(/\w+/g)!);
  expect(listed.toSorted()).toEqual([...new Set(names)].toSorted());
});
