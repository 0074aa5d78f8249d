import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load } from '../../backends/tfjs/driver/index.ts';
import { nodeTfjs } from '../../backends/tfjs/node_tfjs.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { pgconv } from '../testing/command_line.ts';
import { printedOutput } from '../testing/printed_output.ts';

/* Where `run` gets pictures and prompts, how it chooses tokens, and where it stops. */

const PICTURE = 'fixtures/shapes/images/005.png';
const CAPTION = 'a purple triangle and a red circle and a yellow square';
let root: string;
let bundle: string;
let tfjs: string;
let server: Server;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-run-'));
  [bundle, tfjs] = [join(root, 'onnx'), join(root, 'tfjs')];
  for (const [backend, out] of [
    ['onnx', bundle],
    ['tfjs', tfjs],
  ] as const)
    await convert({ checkpoint: 'fixtures/shapes', backend, precision: 'fp32', out, verify: false }, silentReporter);
  server = createServer((request, response) => {
    if (request.url !== '/005.png') return response.writeHead(404).end();
    void readFile(PICTURE).then((bytes) => response.end(bytes));
    return undefined;
  }).listen(0);
}, 120_000);
afterAll(async () => {
  server.close();
  await rm(root, { recursive: true, force: true });
});

interface Said {
  readonly text: string;
  readonly tokens: readonly number[];
}

async function said(...options: readonly string[]): Promise<Said> {
  const { code, out, err } = await pgconv('run', bundle, '--json', ...options);
  expect(code, err + out).toBe(0);
  return printedOutput(out, 'run') as Said;
}
const caption = (...options: readonly string[]) => said('--image', PICTURE, '--prompt', 'caption en', ...options);

/** The built command with something piped into it. */
function piped(
  input: string | Uint8Array,
  ...args: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['dist/converter/cli.js', 'run', bundle, ...args]);
    const [out, err]: [string[], string[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code!, out: out.join(''), err: err.join('') }));
    child.stdin.end(input);
  });
}

describe('where pictures and prompts come from', () => {
  test('a prompt by standard input, without its line end', async () => {
    const { code, out, err } = await piped('caption en\n', '--image', PICTURE, '--prompt', '-');
    expect([code, out.trim()], err).toEqual([0, CAPTION]);
  });

  test('a picture by standard input', async () => {
    const { code, out, err } = await piped(await readFile(PICTURE), '--image', '-', '--prompt', 'caption en');
    expect([code, out.trim()], err).toEqual([0, CAPTION]);
    const junk = await piped('no picture', '--image', '-', '--prompt', 'caption en');
    expect(junk.code).toBe(3);
    expect(junk.err).toContain('not_an_image');
  });

  test('a picture of the web; what cannot be fetched is an error that names it', async () => {
    const at = `http://localhost:${(server.address() as AddressInfo).port}`;
    expect((await said('--image', `${at}/005.png`, '--prompt', 'caption en')).text).toBe(CAPTION);
    for (const [url, message] of [
      [`${at}/none.png`, '404'],
      ['http://localhost:1/x.png', 'cannot be fetched'],
    ] as const) {
      const { code, err } = await pgconv('run', bundle, '--image', url, '--prompt', 'caption en');
      expect(code).toBe(3);
      expect(err).toContain('image_missing');
      expect(err).toContain(message);
      expect(err).toContain(url);
    }
  });

  test('--repeat: a line of JSON for each picture of a folder, also for one that is none', async () => {
    const folder = join(root, 'pictures');
    await mkdir(folder);
    for (const name of ['000.png', '005.png']) await copyFile(`fixtures/shapes/images/${name}`, join(folder, name));
    await writeFile(join(folder, '002.png'), 'no picture');
    const { code, out } = await pgconv('run', bundle, '--repeat', folder, '--prompt', 'caption en');
    const lines = out.split('\n').map((line) => printedOutput(line) as { schema: string; text?: string });
    expect(lines.map(({ schema }) => schema)).toEqual(['pgconv-run', 'pgconv-error', 'pgconv-run']);
    expect(lines[2]!.text).toBe(CAPTION);
    expect(out).toContain(join(folder, '002.png'));
    expect(code).toBe(3);
  });
});

describe('how tokens are chosen', () => {
  test('by the likeliest unless told otherwise; of one token there is one choice', async () => {
    expect((await caption()).text).toBe(CAPTION);
    expect((await caption('--temperature', '3', '--top-k', '1')).text).toBe(CAPTION);
    expect((await caption('--temperature', '3', '--min-p', '1')).text).toBe(CAPTION);
    expect((await caption('--temperature', '3', '--top-p', '1e-9')).text).toBe(CAPTION);
  });

  test('a seed decides the draws', async () => {
    const drawn = (seed: string) => caption('--temperature', '30', '--max-new-tokens', '12', '--seed', seed);
    const [first, again, other] = [await drawn('1'), await drawn('1'), await drawn('2')];
    expect(first).toEqual(again);
    expect(first.tokens).not.toEqual(other.tokens);
  });

  test('a penalty of repetition, as pgconv/tfjs has it', async () => {
    const { text } = await caption('--repetition-penalty', '8', '--max-new-tokens', '20');
    expect(text).not.toBe(CAPTION);
    const model = await load(tfjs, { tf: await nodeTfjs('cpu') });
    try {
      let answer = '';
      const asked = { image: PICTURE, prompt: 'caption en', maxNewTokens: 20, repetitionPenalty: 8 };
      for await (const piece of model.generate(asked)) answer += piece;
      expect(answer).toBe(text);
    } finally {
      model.dispose();
    }
  }, 120_000);

  test('ends before a text', async () => {
    expect((await caption('--stop', ' and')).text).toBe('a purple triangle');
    expect((await caption('--stop', 'nothing', '--stop', 'circle')).text).toBe('a purple triangle and a red ');
  });
});

test.each([
  [['--temperature', '-1'], 'bad_sampling'],
  [['--temperature', 'hot'], 'give a number'],
  [['--top-k', '3'], 'the temperature is 0'],
  [['--temperature', '1', '--top-p', '0'], 'bad_sampling'],
  [['--temperature', '1', '--min-p', '1.5'], 'bad_sampling'],
  [['--repetition-penalty', '0'], 'bad_sampling'],
  [['--stop', ''], '--stop'],
  [['--image', '-', '--prompt', '-'], 'two_inputs'],
  [['--repeat', 'fixtures/shapes/images', '--draw', 'x.png'], 'repeat_alone'],
] as const)('%o is refused before anything is opened', async (options, message) => {
  const plain = (name: string) => !(options as readonly string[]).includes(name);
  const { code, err } = await pgconv(
    ...['run', 'no-such-bundle', ...options],
    ...(plain('--image') && plain('--repeat') ? ['--image', PICTURE] : []),
    ...(plain('--prompt') ? ['--prompt', 'caption en'] : []),
  );
  expect(code, err).toBe(2);
  expect(err).toContain(message);
});
