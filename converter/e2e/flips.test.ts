import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkpointOf, CLIENTS } from '../bench/flips/clients.ts';
import { measureFlips } from '../bench/flips/measure_flips.ts';
import { textOf } from '../cli/io.ts';
import { runCommandLine } from '../cli/main.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';

/* `npm run flips` in short: what each client makes of bundles with a flipped bit. */

const FLIPS = 6;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-flips-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const made = new Map<string, Promise<string>>();

function bundleOf(checkpoint: string, backend: string): Promise<string> {
  const out = join(root, `${backend}-${checkpoint.replaceAll('/', '-')}`);
  const known =
    made.get(out) ??
    convert({ checkpoint, backend, precision: 'fp16', out, verify: false }, silentReporter).then(() => out);
  made.set(out, known);
  return known;
}

// `run` checks in one way, whatever the backend, and a sound bundle of shaders takes it to a GPU
const SHORT = CLIENTS.filter(({ name }) => !/^pgconv run, (tfjs|wgsl)$/.test(name));

test.each(SHORT.map((client) => [client.name, client] as const))(
  '%s refuses every bundle that has one, by the name of the file',
  async (_, client) => {
    const bundle = await bundleOf(checkpointOf(client), client.backend);
    expect(await measureFlips(client, bundle, FLIPS, 1)).toMatchObject({
      flips: FLIPS,
      named: FLIPS,
      unnoticed: [],
      otherwise: [],
    });
  },
);

test('a graph with another letter in its signature is damage, and an error of its file where nobody checks', async () => {
  const bundle = await bundleOf('fixtures/shapes', 'tfjs');
  const path = join(bundle, 'embed_tokens/model.json');
  const graph = await readFile(path, 'utf8');
  // one bit of one letter, which ended a command with exit code 70
  await writeFile(path, graph.replace('"name":"inputs_embeds","dtype"', '"name":"inputs_mmbeds","dtype"'));
  const run = async (...more: readonly string[]) => {
    const said: string[] = [];
    const asked = ['--image', 'fixtures/shapes/images/001.png', '--prompt', 'caption en', '--max-new-tokens', '1'];
    const code = await runCommandLine(['run', bundle, ...asked, ...more], {
      out: () => {},
      err: (text) => said.push(textOf(text)),
      reporter: () => silentReporter,
      signal: new AbortController().signal,
    });
    return [code, said.join('\n')];
  };
  expect(await run()).toEqual([
    3,
    expect.stringMatching(/bundle_damaged.*embed_tokens\/model\.json: its bytes changed/s),
  ]);
  expect(await run('--no-check')).toEqual([
    3,
    expect.stringMatching(/runtime_failed.*tfjs cannot run embed_tokens\/model\.json: .*inputs_mmbeds/s),
  ]);
  await writeFile(path, graph);
});
