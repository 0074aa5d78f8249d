import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serveFolders } from '../../../backends/browser/static_server.ts';
import { checkBundle, verifiedFetch } from '../../../backends/client/integrity/index.ts';
import type { BundleLocation } from '../../../backends/client/sources/open_source.ts';
import { load as loadTfjs } from '../../../backends/tfjs/driver/index.ts';
import { nodeTfjs } from '../../../backends/tfjs/node_tfjs.ts';
import { load as loadWgsl } from '../../../backends/wgsl/runtime/index.ts';
import { listFiles } from '../../bundle/check_bundle.ts';
import { MANIFEST_NAME, readManifest } from '../../bundle/manifest.ts';
import { textOf } from '../../cli/io.ts';
import { runCommandLine } from '../../cli/main.ts';
import { silentReporter } from '../../terminal/reporter.ts';
import { deviceWithoutGpu } from './no_gpu.ts';

/** A way to load a bundle of one backend, up to what a question needs of its files. */
export interface Client {
  readonly name: string;
  readonly backend: 'onnx' | 'tfjs' | 'wgsl';
  /** A fixture; default one with a tokenizer. */
  readonly checkpoint?: string;
  /** Files of a bundle that it reads. */
  reads(dir: string): Promise<readonly string[]>;
  /** @throws what a user of it would get; whatever `run` prints as an error is one here */
  load(dir: string): Promise<void>;
}

const PROMPT = 'caption en';

/** Every file that the manifest lists, and the manifest. */
async function listed(dir: string): Promise<readonly string[]> {
  return [MANIFEST_NAME, ...(await readManifest(dir)).files.map(({ path }) => path)];
}

/** The files that a load of the bundle asks for. */
async function asked(dir: string, load: (location: BundleLocation) => Promise<void>): Promise<readonly string[]> {
  const seen = new Set<string>();
  class Watched extends Map<string, Blob> {
    override get(path: string): Blob | undefined {
      seen.add(path);
      return super.get(path);
    }
  }
  const files = await Promise.all(
    (await listFiles(dir)).map(async (path) => [path, new Blob([await readFile(join(dir, path))])] as const),
  );
  await load(new Watched(files));
  return [...seen];
}

/** What a client's bundle is made of. */
export function checkpointOf({ checkpoint = 'fixtures/shapes' }: Client): string {
  return checkpoint;
}

/** With text, where the bundle has a tokenizer. */
async function readText(model: { promptIds(prompt: string): Promise<number[]> }): Promise<void> {
  await model.promptIds(PROMPT).catch((error: unknown) => {
    if (!String(error).includes('has no tokenizer')) throw error;
  });
}

/** `pgconv run`, as it ends: an exit code that is not 3, and an error without a code, are something else than asked. */
function runClient(backend: Client['backend'], device: string): Client {
  return {
    name: `pgconv run, ${backend}`,
    backend,
    reads: listed,
    async load(dir) {
      const said: string[] = [];
      const code = await runCommandLine(
        [
          'run',
          dir,
          '--image',
          'fixtures/shapes/images/001.png',
          '--prompt',
          PROMPT,
          '--max-new-tokens',
          '1',
          '--device',
          device,
        ],
        {
          out: () => {},
          err: (text) => said.push(textOf(text)),
          reporter: () => silentReporter,
          signal: new AbortController().signal,
        },
      );
      if (code === 0) return;
      throw code === 3
        ? Object.assign(new Error(said.join('\n')), { code: 'bundle_damaged' })
        : new Error(said.join('\n'));
    },
  };
}

const plain = deviceWithoutGpu('none');
const rich = deviceWithoutGpu('all');

async function wgsl(location: BundleLocation): Promise<void> {
  for (const device of [plain, rich]) {
    const model = await loadWgsl(location, { device, gpu: { requestAdapter: async () => null } });
    await readText(model);
    await model.dispose();
  }
}

async function tfjs(location: BundleLocation): Promise<void> {
  const model = await loadTfjs(location, { tf: await nodeTfjs('cpu') });
  try {
    await readText(model);
  } finally {
    model.dispose();
  }
}

export const CLIENTS: readonly Client[] = [
  runClient('onnx', 'cpu'),
  runClient('tfjs', 'cpu'),
  runClient('wgsl', 'software'),
  { name: 'pgconv/tfjs', backend: 'tfjs', reads: (dir) => asked(dir, tfjs), load: tfjs },
  {
    name: 'pgconv/tfjs, rows read from a file',
    backend: 'tfjs',
    checkpoint: 'fixtures/pg2-untied/hf',
    reads: (dir) => asked(dir, tfjs),
    load: tfjs,
  },
  { name: 'pgconv/runtime', backend: 'wgsl', reads: (dir) => asked(dir, wgsl), load: wgsl },
  {
    name: 'pgconv/integrity, checkBundle',
    backend: 'onnx',
    reads: listed,
    load: async (dir) => void (await checkBundle(dir)),
  },
  {
    name: 'pgconv/integrity, verifiedFetch',
    backend: 'onnx',
    reads: listed,
    async load(dir) {
      const server = await serveFolders({ '/bundle/': dir });
      try {
        const fetch = await verifiedFetch(`${server.url}/bundle/`);
        for (const path of await listFiles(dir)) await (await fetch(`${server.url}/bundle/${path}`)).arrayBuffer();
      } finally {
        await server.close();
      }
    },
  },
];
