import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Backend } from '../../backends/backend.ts';
import { backendNames, findBackend, isBackendName } from '../../backends/find_backend.ts';
import { RuntimeError } from '../../backends/client/errors.ts';
import { sizeProblemFor } from '../../backends/client/model_sizes.ts';
import { processorFrom, type Processor } from '../../backends/client/images/processor.ts';
import { insideBundle } from './inside_bundle.ts';
import { readRegularText } from '../../backends/regular_file.js';
import type { Model } from '../../verify/decode.ts';
import { MANIFEST_NAME, readManifest, type Manifest } from './manifest.ts';
import { chooseDevice, type DeviceChoice } from './choose_device.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { MAX_TEXT_BYTES } from '../inputs/inputs.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';

/** A bundle that is open in its runtime. */
export interface BundleModel extends Model {
  readonly manifest: Manifest;
  dispose(): Promise<void>;
}

/**
 * Opens a bundle on a device of its backend, default its usual one.
 * @throws BadInputError when it is none; UsageError for a device that its backend does not have.
 */
export async function openBundle(dir: string, device?: string): Promise<BundleModel> {
  return openStaged(dir, await readManifest(dir), { device });
}

/** The same with a manifest that was read, or written, before. */
export async function openStaged(
  dir: string,
  manifest: Manifest,
  { memory, ...choice }: DeviceChoice & { readonly memory?: number | undefined } = {},
): Promise<BundleModel> {
  const backend = await bundleBackend(dir, manifest);
  await checkSizes(dir, manifest);
  const { device, browser } = await chooseDevice(backend, choice);
  const runner = await backend.open(dir, {
    device,
    ...(browser !== undefined && { browser }),
    ...(memory !== undefined && { memory }),
  });
  const metadata: ProgramMetadata = manifest.program;
  return {
    runner,
    metadata,
    manifest,
    dispose: () => runner.dispose(),
  };
}

/** @throws BadInputError for a manifest that states a larger model than its files can hold, or files elsewhere */
async function checkSizes(dir: string, { program, files }: Manifest): Promise<void> {
  const sizes = await Promise.all(
    files.map(async ({ path }) => {
      const file = await insideBundle(dir, path);
      return (await stat(file).catch(() => undefined))?.size ?? 0;
    }),
  );
  const problem = sizeProblemFor(
    program,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  if (problem !== undefined)
    throw new BadInputError('manifest_invalid', `program: ${problem}`, {
      file: join(dir, MANIFEST_NAME),
      hint: 'do not use this bundle: it was not written by pgconv',
    });
}

/** Whose bundle it is. @throws BadInputError for a backend that is not known here */
export async function bundleBackend(dir: string, { backend }: Manifest): Promise<Backend> {
  if (isBackendName(backend)) return findBackend(backend);
  throw new BadInputError('unknown_backend', `the bundle is for "${backend}"`, {
    file: dir,
    hint: `this version runs ${backendNames().join(', ')}: use a newer pgconv`,
  });
}

/**
 * The tokenizer in a bundle; undefined when its manifest lists none, whatever lies in the folder.
 * @throws BadInputError when it is damaged.
 */
export async function bundleTokenizer(dir: string, manifest: Manifest): Promise<Tokenizer | undefined> {
  const read = (name: string) => readJson(dir, name, manifest, 'bad_tokenizer');
  const tokenizer = await read('tokenizer.json');
  return tokenizer && loadTokenizer(tokenizer, await read('tokenizer_config.json'), join(dir, 'tokenizer.json'));
}

/** @throws UsageError for a bundle that answers nothing */
export function requireAnswers(dir: string, { program }: Manifest): void {
  if (program.retrievalWidth !== undefined)
    throw new UsageError('not_for_answers', 'this is a ColPali: it gives vectors for retrieval, not answers', {
      file: dir,
      hint: 'its README.md shows how to rank pages with it',
    });
}

/** The tokenizer, for who asks in words. @throws BadInputError where the bundle has none, or a damaged one */
export async function requireTokenizer(dir: string, manifest: Manifest): Promise<Tokenizer> {
  const tokenizer = await bundleTokenizer(dir, manifest);
  if (tokenizer) return tokenizer;
  throw new BadInputError('no_tokenizer', 'the bundle has no tokenizer', {
    file: dir,
    hint: 'convert again with --tokenizer tokenizer.model',
  });
}

/** How a bundle wants pictures and prompts. @throws BadInputError when its preprocessor_config.json is damaged */
export async function bundleProcessor(dir: string, manifest: Manifest): Promise<Processor> {
  const name = 'preprocessor_config.json';
  const file = join(dir, name);
  const fields = (await readJson(dir, name, manifest, 'bad_sidecar')) ?? {};
  try {
    return processorFrom(manifest.options.reference, fields, name);
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    throw new BadInputError('bad_sidecar', error.problem, { file, hint: AGAIN }, { cause: error });
  }
}

const AGAIN = 'copy the bundle again, or convert the checkpoint again';

/** Undefined where there is none. */
async function readJson(
  dir: string,
  name: string,
  { files }: Manifest,
  code: 'bad_tokenizer' | 'bad_sidecar',
): Promise<object | undefined> {
  if (!files.some(({ path }) => path === name)) return undefined;
  const file = await insideBundle(dir, name);
  const text = await readRegularText(file, MAX_TEXT_BYTES).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new BadInputError(code, `cannot read the file: ${cause.message}`, { file, hint: AGAIN }, { cause });
  });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as object;
  } catch (cause) {
    throw new BadInputError(code, `not JSON: ${(cause as Error).message}`, { file, hint: AGAIN }, { cause });
  }
}
