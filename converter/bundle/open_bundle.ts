import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Backend } from '../../backends/backend.ts';
import { backendNames, findBackend, isBackendName } from '../../backends/find_backend.ts';
import { RuntimeError } from '../../backends/client/errors.ts';
import { processorFrom, type Processor } from '../../backends/client/images/processor.ts';
import type { Model } from '../../verify/decode.ts';
import { readManifest, type Manifest } from './manifest.ts';
import { requirePackages } from './require_runtime.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';

/** A bundle that is open in its runtime. */
export interface BundleModel extends Model {
  readonly manifest: Manifest;
  dispose(): Promise<void>;
}

/**
 * Opens a bundle on a device of its backend, `cpu` by default.
 * @throws BadInputError when it is none; UsageError for a device that its backend does not have.
 */
export async function openBundle(dir: string, device?: string): Promise<BundleModel> {
  return openStaged(dir, await readManifest(dir), device);
}

/** The same with a manifest that was read, or written, before. */
export async function openStaged(dir: string, manifest: Manifest, device?: string): Promise<BundleModel> {
  const backend = await bundleBackend(dir, manifest);
  if (device !== undefined && !backend.devices.includes(device))
    throw new UsageError('unknown_device', `${backend.name} has no device "${device}"`, {
      hint: `choose one of ${backend.devices.join(', ')}`,
    });
  requirePackages([backend], device);
  const runner = await backend.open(dir, device === undefined ? {} : { device });
  const metadata: ProgramMetadata = manifest.program;
  return { runner, metadata, manifest, dispose: () => runner.dispose() };
}

/** Whose bundle it is. @throws BadInputError for a backend that is not known here */
export async function bundleBackend(dir: string, { backend }: Manifest): Promise<Backend> {
  if (isBackendName(backend)) return findBackend(backend);
  throw new BadInputError('unknown_backend', `the bundle is for "${backend}"`, {
    file: dir,
    hint: `this version runs ${backendNames().join(', ')}: use a newer pgconv`,
  });
}

/** The tokenizer in a bundle; undefined when it has none. @throws BadInputError when it is damaged. */
export async function bundleTokenizer(dir: string): Promise<Tokenizer | undefined> {
  const read = (name: string) => readJson(join(dir, name), 'bad_tokenizer');
  const tokenizer = await read('tokenizer.json');
  return tokenizer && loadTokenizer(tokenizer, await read('tokenizer_config.json'), join(dir, 'tokenizer.json'));
}

/** How a bundle wants pictures and prompts. @throws BadInputError when its preprocessor_config.json is damaged */
export async function bundleProcessor(dir: string, { options }: Manifest): Promise<Processor> {
  const file = join(dir, 'preprocessor_config.json');
  try {
    return processorFrom(options.reference, (await readJson(file, 'bad_sidecar')) ?? {}, basename(file));
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    throw new BadInputError('bad_sidecar', error.problem, { file, hint: AGAIN }, { cause: error });
  }
}

const AGAIN = 'copy the bundle again, or convert the checkpoint again';

/** Undefined where there is none. */
async function readJson(file: string, code: 'bad_tokenizer' | 'bad_sidecar'): Promise<object | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as object;
  } catch (cause) {
    throw new BadInputError(code, `not JSON: ${(cause as Error).message}`, { file, hint: AGAIN }, { cause });
  }
}
