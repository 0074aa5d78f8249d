import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findSoftwareDriver } from '../../backends/gpu/software_driver.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { programOf, tinyProgram } from '../../backends/testing/tiny_program.ts';
import { emittedBundle } from '../../backends/wgsl/testing/emitted_bundle.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { tensorOf } from '../../ir/tensor.ts';

/*
 * Machines as CI has them: no GPU, no libvulkan; with Chromium, and without. What is built runs there, in a process of
 * its own.
 */

const BUILT = join(import.meta.dirname, '../../dist');
const TOKENS = [4, 0, 23];

/** The environment of the tests without what makes WebGPU find a driver. */
function bare(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { VK_DRIVER_FILES: _driver, LD_LIBRARY_PATH: _libraries, ...rest } = process.env;
  return { ...rest, ...more };
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function node(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

const OPEN_BY_ITSELF = `
  import { chooseDevice } from ${JSON.stringify(join(BUILT, 'converter/bundle/choose_device.js'))};
  import { wgsl } from ${JSON.stringify(join(BUILT, 'backends/wgsl/index.js'))};
  const chosen = await chooseDevice(wgsl, {});
  const runner = await wgsl.open(process.argv[1], chosen);
  const ids = { dtype: 'i64', shape: [1, ${TOKENS.length}], data: Float64Array.of(${TOKENS.join()}) };
  const { inputs_embeds } = await runner.run('embed_tokens', { input_ids: ids });
  console.log(JSON.stringify({ chosen, gpu: runner.device.gpu, data: [...inputs_embeds.data] }));
  await runner.dispose();
`;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-software-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

itOnGpu('without a GPU the software one computes, is said, and needs nothing of the environment', async () => {
  const program = programOf(...tinyProgram().graphs.filter(({ name }) => name === 'embed_tokens'));
  await using bundle = await emittedBundle(program);
  const { code, stdout, stderr } = await node(['--input-type=module', '-e', OPEN_BY_ITSELF, bundle.dir], bare());
  expect(code, stderr).toBe(0);
  const { chosen, gpu, data } = JSON.parse(stdout) as { chosen: object; gpu: object; data: readonly number[] };
  expect(chosen).toEqual({ device: 'software', note: expect.stringContaining('WebGPU finds no GPU here') as string });
  expect(gpu).toMatchObject({ vendor: 'google', architecture: 'swiftshader', software: true });
  const input_ids = tensorOf('i64', [1, TOKENS.length], TOKENS);
  const expected = await evaluatorRunner(program).run('embed_tokens', { input_ids });
  expect(data).toEqual([...expected['inputs_embeds']!.data]);
});

it('without Chromium either, convert says what to install before it begins', async (context) => {
  const environment = bare({ PGCONV_CHROMIUM: '/nowhere/chromium', XDG_CACHE_HOME: root, VK_DRIVER_FILES: '/nowhere' });
  if ('value' in findSoftwareDriver(undefined, environment)) return context.skip('this machine has lavapipe');
  const out = join(root, 'bundle');
  const { code, stdout } = await node(
    [
      join(BUILT, 'converter/cli.js'),
      'convert',
      'fixtures/shapes',
      '--to',
      'wgsl',
      '--dtype',
      'int4',
      '--out',
      out,
      '--json',
    ],
    environment,
  );
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({
    error: {
      code: 'runtime_missing',
      message: expect.stringMatching(/WebGPU finds no GPU here.*; and no software GPU is here/) as string,
      hint: expect.stringMatching(/^apt-get install -y chromium; or convert with --no-verify/) as string,
    },
  });
  expect(existsSync(out)).toBe(false);
});
