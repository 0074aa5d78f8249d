import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { packAll } from '../packing/pack.ts';
import { silentReporter } from '../terminal/reporter.ts';

const run = promisify(execFile);
const CAPTION = 'a purple triangle and a red circle and a yellow square';
const root = await mkdtemp(join(tmpdir(), 'pgconv-server-'));
let server: ChildProcess | undefined;
afterAll(async () => {
  server?.kill('SIGKILL');
  await rm(root, { recursive: true, force: true });
});

/** The port that the server says it listens on. */
function started(child: ChildProcess): Promise<string> {
  return new Promise((done, fail) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      const port = /listening on (\d+)/.exec(chunk.toString())?.[1];
      if (port !== undefined) done(port);
    });
    child.on('exit', (code) => fail(new Error(`the server ended with ${code}`)));
  });
}

itOnGpu(
  'node-server, with the packed package: an answer in pieces, refusals, answers one after the other, a quiet end',
  async () => {
    const [packed] = await packAll(resolve('.'), join(root, 'packed'));
    const [dir, bundle] = [join(root, 'node-server'), join(root, 'bundle')];
    await cp('examples/node-server', dir, { recursive: true });
    await run('npm', ['pkg', 'set', `dependencies.pgconv=file:${packed!.path}`], { cwd: dir });
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: dir });
    await convert(
      { checkpoint: 'fixtures/shapes', backend: 'wgsl', precision: 'fp32', out: bundle, verify: false },
      silentReporter,
    );
    server = spawn(process.execPath, ['server.js', bundle, '0'], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] });
    const at = `http://localhost:${await started(server)}`;
    const picture = await readFile('fixtures/shapes/images/005.png');
    const ask = (body: Uint8Array<ArrayBuffer> | string, prompt = 'caption en') =>
      fetch(`${at}/answer?prompt=${encodeURIComponent(prompt)}`, { method: 'POST', body });
    const pieces: string[] = [];
    const response = await ask(Uint8Array.from(picture));
    for await (const piece of response.body as AsyncIterable<Uint8Array>) pieces.push(Buffer.from(piece).toString());
    expect(pieces.join('')).toBe(CAPTION);
    expect(pieces.length).toBeGreaterThan(1);
    const bad = await ask('no picture');
    expect(bad.status).toBe(400);
    expect((await fetch(`${at}/other`)).status).toBe(404);
    // of few tokens: a software GPU takes a second for each
    const short = () => ask(Uint8Array.from(picture), 'answer en what color is the triangle?');
    const both = await Promise.all([short(), short()]);
    expect(await Promise.all(both.map((each) => each.text()))).toEqual(['purple', 'purple']);
    const ended = new Promise((done) => server!.on('exit', done));
    server.kill('SIGTERM');
    expect(await ended).toBe(0);
  },
  480_000,
);
