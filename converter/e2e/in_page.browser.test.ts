import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { tensorOf } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { requirePage } from '../../backends/browser/open_in_page.ts';
import type { Hello } from '../../backends/browser/page/hello.ts';
import type { Runner } from '../../backends/backend.ts';
import { programOf, tinyProgram } from '../../backends/testing/tiny_program.ts';
import { open } from '../../backends/wgsl/run.ts';
import { emittedBundle } from '../../backends/wgsl/testing/emitted_bundle.ts';

/*
 * A page that Node opens, on a program whose shaders compile at once: what it computes, and what it leaves when
 * something breaks. Whole bundles are verified in pages by converter/e2e/devices.browser.test.ts.
 */

const program = programOf(...tinyProgram().graphs.filter(({ name }) => name !== 'decoder'));
const ids = { input_ids: tensorOf('i64', [1, 3], [4, 0, 23]) };
const TIMEOUT = 240_000;

let root: string;
let systemTemp: string | undefined;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-in-page-'));
  systemTemp = process.env['TMPDIR'];
});
// profiles of browsers lie there, which tells whose processes are whose
beforeEach(() => void (process.env['TMPDIR'] = root));
afterAll(async () => {
  if (systemTemp === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = systemTemp;
  await rm(root, { recursive: true, force: true, maxRetries: 5 });
});

/** Processes of browsers that this file has started: their ids by their command lines. */
async function browserProcesses(): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(join(root, 'pgconv-page-'))) found.set(Number(name), line.replaceAll('\0', ' '));
  }
  return found;
}

/** Nothing of a browser is there any more: no process, no profile. */
async function expectNothingLeft(): Promise<void> {
  expect([...(await browserProcesses()).values()]).toEqual([]);
  expect((await readdir(root)).filter((name) => name.startsWith('pgconv-page-'))).toEqual([]);
}

/** Ends the processes of the browser whose command line says so. */
async function end(which: (line: string) => boolean): Promise<void> {
  const chosen = [...(await browserProcesses())].filter(([, line]) => which(line));
  expect(chosen.length).toBeGreaterThan(0);
  for (const [id] of chosen) process.kill(id, 'SIGKILL');
}

async function inPage<T>(use: (runner: Runner) => Promise<T>): Promise<T> {
  await using bundle = await emittedBundle(program);
  const runner = await open(bundle.dir, { device: 'browser' });
  try {
    return await use(runner);
  } finally {
    await runner.dispose();
    await expectNothingLeft();
  }
}

/** An executable that does of a browser no more than what a page says first. */
async function speaking(hello: Hello): Promise<string> {
  const path = join(root, `says-${hello.webgpu}.cjs`);
  const said = `fetch(process.argv.at(-1) + 'hello', { method: 'POST', body: ${JSON.stringify(JSON.stringify(hello))} })`;
  await writeFile(path, `#!${process.execPath}\n${said};\nsetInterval(() => {}, 1000);\n`);
  await chmod(path, 0o755);
  return path;
}

/** Runs go on until one fails. */
async function runOn(runner: Runner): Promise<never> {
  for (;;) await runner.run('embed_tokens', ids);
}

itInChromium(
  'graphs and stages in a page, to the bit what Node computes on the same software GPU; whose GPU it is',
  () =>
    inPage(async (page) => {
      await using bundle = await emittedBundle(program);
      const node = await open(bundle.dir, { device: 'software' });
      try {
        const pictures = { pixel_values: randomTensor('f32', [3, 3, 8, 8], 1) };
        const stages = { stages: ['vit.0', 'image_features'] };
        expect(await page.run('vision_encoder', pictures, stages)).toEqual(
          await node.run('vision_encoder', pictures, stages),
        );
        expect(await page.run('embed_tokens', ids)).toEqual(await node.run('embed_tokens', ids));
        expect(await page.inputDtypes('embed_tokens')).toEqual({ input_ids: 'i64' });
        expect(page.device).toMatchObject({ name: 'browser', gpu: { vendor: 'google', software: true } });
        expect(page.device!.host).toMatch(/^\w.* \d+\.\d+/);
        expect(page.device!.gpu!.limits['maxStorageBufferBindingSize']).toBeGreaterThan(0);
        expect(node.device!.gpu!.architecture).toBe(page.device!.gpu!.architecture);
        await expect(page.run('embed_tokens', {})).rejects.toMatchObject({
          code: 'bad-input',
          place: { tensor: 'input_ids' },
        });
        await expect(page.run('no_such', {})).rejects.toMatchObject({ code: 'bad-input' });
        // a call that was refused leaves the page as it was
        expect(await page.run('embed_tokens', ids)).toHaveProperty('inputs_embeds');
      } finally {
        await node.dispose();
      }
    }),
  TIMEOUT,
);

itInChromium(
  'a browser that dies midway is an error of its name',
  () =>
    inPage(async (runner) => {
      const broken = runOn(runner).catch((error: unknown) => error);
      await end((line) => !line.includes('--type='));
      expect(await broken).toMatchObject({ code: 'browser-failed' });
      await expect(runner.run('embed_tokens', ids)).rejects.toMatchObject({ code: 'browser-failed' });
    }),
  TIMEOUT,
);

itInChromium(
  'so is a page that dies in a browser that lives',
  () =>
    inPage(async (runner) => {
      const broken = runOn(runner).catch((error: unknown) => error);
      await end((line) => line.includes('--type=renderer'));
      expect(await broken).toMatchObject({ code: 'browser-failed' });
    }),
  TIMEOUT,
);

itInChromium(
  'a device that is lost is another',
  () =>
    inPage(async (runner) => {
      const broken = runOn(runner).catch((error: unknown) => error);
      await end((line) => line.includes('--type=gpu-process'));
      expect(await broken).toMatchObject({ code: 'device-lost' });
    }),
  TIMEOUT,
);

itInChromium(
  'a browser without WebGPU, one that ends at once, and what is no browser: each by its name, and nothing is left',
  async () => {
    for (const webgpu of [false, true]) {
      const without = await speaking({ browser: 'Old 1.0', threads: 1, webgpu });
      await expect(requirePage('webgpu', without)).rejects.toMatchObject({
        code: 'no-webgpu',
        message: expect.stringContaining(webgpu ? 'finds no GPU' : 'Old 1.0 has no WebGPU') as string,
        place: { file: without },
      });
      await requirePage('wasm', without);
    }
    await expect(requirePage('webgpu', '/bin/false')).rejects.toMatchObject({
      code: 'browser-failed',
      message: expect.stringContaining('exit code 1') as string,
    });
    await mkdir(join(root, 'folder'));
    for (const path of [join(root, 'folder'), join(root, 'absent')])
      await expect(requirePage('webgpu', path)).rejects.toMatchObject({
        code: 'browser-failed',
        place: { file: path },
      });
    await expectNothingLeft();
  },
  TIMEOUT,
);
