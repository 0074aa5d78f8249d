import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleBackend } from '../bundle/open_bundle.ts';
import { readManifest, type Manifest } from '../bundle/manifest.ts';
import { Inputs, withInputs } from '../inputs/inputs.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';
import { choiceSentence, wonByData } from '../precision/chosen_by_data.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { checkWeights } from './check_weights.ts';
import { convert } from './convert.ts';
import type { ConvertOptions } from './convert_options.ts';
import { openReference } from './open_reference.ts';
import { remadePasses } from './remade_passes.ts';

/* What data chose of a bundle, from its manifest alone: who asks for the program of its codes. */

let root: string;
let pictures: string;
let source: OpenModel;
const make = async (name: string, calibrate: string, choices: Pick<ConvertOptions, 'balance' | 'algorithm'> = {}) => {
  const options = { checkpoint: 'fixtures/shapes/hf', backend: 'onnx', precision: 'int4', mixed: 'none' } as const;
  return (await convert({ ...options, ...choices, calibrate, out: join(root, name), verify: false }, silentReporter))
    .out;
};
const folderOf = async (...names: readonly string[]) => {
  const dir = await mkdtemp(join(root, 'pictures-'));
  await writeFile(join(dir, 'prompts.txt'), 'caption en\n');
  for (const name of names) await copyFile(`fixtures/shapes/images/${name}.png`, join(dir, `${name}.png`));
  return dir;
};
let chosen: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-remade-'));
  source = await openModel({ checkpoint: 'fixtures/shapes/hf' });
  pictures = await folderOf('000', '001');
  chosen = await make('chosen', pictures);
});
afterAll(async () => {
  await source.close();
  await rm(root, { recursive: true, force: true });
});

/** As a version that recorded only options, and `search` where nobody named an algorithm, would have written it. */
function ofBefore(manifest: Manifest): Manifest {
  return { ...manifest, chosenByData: undefined, options: { ...manifest.options, algorithm: 'search' } };
}

/** As a version that chose bits by rules alone would have written it. */
function withoutStorage(manifest: Manifest): Manifest {
  return { ...manifest, storage: undefined };
}

/** Weights that a verification compares, and those that it does not. */
async function compared(dir: string, manifest: Manifest) {
  const inputs = new Inputs();
  const reference = await openReference(
    dir,
    manifest,
    { against: undefined, adapters: undefined, inputs, signal: undefined },
    silentReporter,
  );
  try {
    if (typeof reference.weights === 'string') throw new Error(reference.weights);
    const report = await checkWeights(
      {
        ...reference.weights,
        backend: await bundleBackend(dir, manifest),
        bundle: { dir, files: manifest.files },
        precision: 'int4',
      },
      silentReporter,
    );
    return { report: report!, help: reference.original!.help, hasRunner: reference.runner !== undefined };
  } finally {
    await reference.close();
    await inputs.close();
  }
}

const remade = (manifest: Manifest) =>
  withInputs((inputs) =>
    remadePasses({ model: source.model, manifest, dir: chosen, inputs }, undefined, silentReporter),
  );

describe('codes that data chose', () => {
  test('are recorded with what was asked, and told in README and notes', async () => {
    const { options, chosenByData, notes } = await readManifest(chosen);
    expect(options).not.toHaveProperty('algorithm');
    expect(chosenByData).toMatchObject({ pictures: { chose: 1, judged: 1, leftOut: 0 } });
    const won = wonByData(chosenByData);
    expect(won.size).toBeGreaterThan(0);
    expect(won.size).toBeLessThanOrEqual(chosenByData!.matrices);
    const sentence = choiceSentence(chosenByData!);
    expect(notes).toContain(`calibration: ${sentence}`);
    expect(await readFile(join(chosen, 'README.md'), 'utf8')).toContain(`Calibration: ${sentence}`);
  });

  test('are not compared, and all others are', async () => {
    const manifest = await readManifest(chosen);
    const { report, help, hasRunner } = await compared(chosen, manifest);
    expect(report).toMatchObject({ passed: true, problems: [] });
    expect(new Set(report.unknown)).toEqual(wonByData(manifest.chosenByData));
    expect([help, hasRunner]).toEqual(['mixed or calibrated', false]);
  });

  test('of a bundle that does not say which, no code is compared', async () => {
    const manifest = await readManifest(chosen);
    const { report, help } = await compared(chosen, ofBefore(manifest));
    expect(report.passed).toBe(true);
    expect(report.unknown.length).toBeGreaterThan(wonByData(manifest.chosenByData).size);
    expect(help).toBe('mixed or calibrated');
  });

  test('are none where one picture was shown: every code is compared, by the bounds of codes without data', async () => {
    const one = await make('one', await folderOf('000'));
    const manifest = await readManifest(one);
    const { report, help, hasRunner } = await compared(one, manifest);
    expect(report).toMatchObject({ passed: true, unknown: [] });
    expect([help, hasRunner]).toEqual(['none', true]);
  });

  test('and their bits are not known of a bundle that does not say how matrices are stored', async () => {
    const plain = await make('plain', 'none');
    const manifest = await readManifest(plain);
    expect((await compared(plain, manifest)).report).toMatchObject({ passed: true, unknown: [] });
    const { report, hasRunner } = await compared(plain, withoutStorage(manifest));
    expect(report).toMatchObject({ passed: true, problems: [] });
    expect(report.unknown.length).toBeGreaterThan(40);
    expect(hasRunner).toBe(false);
  });
});

describe('columns of a bundle of before', () => {
  const withoutBalance = (manifest: Manifest): Manifest => ({
    ...manifest,
    options: { ...manifest.options, balance: undefined },
  });

  test('are the checkpoint’s, as where --balance is none', async () => {
    const manifest = await readManifest(await make('unbalanced', 'none', { balance: 'none' }));
    expect(manifest.options.balance).toBe('none');
    for (const each of [manifest, withoutBalance(manifest)])
      expect((await compared(join(root, 'unbalanced'), each)).report).toMatchObject({ passed: true, unknown: [] });
  });

  test('are so as well where rtn is asked for, which is quick', async () => {
    const manifest = await readManifest(await make('quick', 'none', { algorithm: 'rtn' }));
    expect(manifest.options.balance).toBe('none');
    expect((await compared(join(root, 'quick'), manifest)).report).toMatchObject({ passed: true, unknown: [] });
  });

  test('are not those of a bundle that has balanced ones', async () => {
    const manifest = await readManifest(await make('balanced', 'none'));
    expect(manifest.options.balance).toBe('auto');
    const { report } = await compared(join(root, 'balanced'), withoutBalance(manifest));
    expect(report.passed).toBe(false);
    const { report: floats } = await compared(join(root, 'balanced'), withoutStorage(manifest));
    expect(floats).toMatchObject({ passed: true, problems: [] });
  });
});

describe('the passes', () => {
  test('are made again where data chooses the same', async () => {
    const { runs, dispose } = await remade(await readManifest(chosen));
    await dispose();
    expect(runs.map(({ pass }) => pass.name)).toContain('quantize_weights');
  });

  test('are made again where pictures chose bits alone, which are recorded', async () => {
    const manifest = await readManifest(await make('rtn', 'none', { algorithm: 'rtn' }));
    const options = { ...manifest.options, calibrate: pictures, budget: 1e7 };
    const { runs, dispose } = await remade({ ...manifest, options });
    await dispose();
    expect(runs.map(({ pass }) => pass.name)).toContain('quantize_weights');
    expect(runs.map(({ pass }) => pass.name)).not.toContain('balance_channels');
  });

  test('are not, where nobody knows what was chosen, or other pictures are there now', async () => {
    const manifest = await readManifest(chosen);
    await expect(remade(withoutStorage(manifest))).rejects.toMatchObject({ code: 'codes_unknown', exitCode: 2 });
    await expect(remade(ofBefore(manifest))).rejects.toMatchObject({ code: 'codes_unknown', exitCode: 2 });
    await copyFile('fixtures/shapes/images/002.png', join(pictures, '001.png'));
    await expect(remade(manifest)).rejects.toMatchObject({ code: 'codes_unknown', place: { file: pictures } });
  });
});
