import { serveFolders } from '../../../backends/browser/static_server.ts';
import { checkBundle, verifiedFetch } from '../../../backends/client/integrity/index.ts';
import { load as loadTfjs } from '../../../backends/tfjs/driver/index.ts';
import { nodeTfjs } from '../../../backends/tfjs/node_tfjs.ts';
import { load as loadWgsl } from '../../../backends/wgsl/runtime/index.ts';
import { generateRow } from '../../../verify/generate.ts';
import { padLeft } from '../../../verify/prompt.ts';
import { listFiles } from '../../bundle/check_bundle.ts';
import { readManifest } from '../../bundle/manifest.ts';
import { openStaged } from '../../bundle/open_bundle.ts';
import { whileChecked } from '../../bundle/while_checked.ts';
import { deviceWithoutGpu } from '../flips/no_gpu.ts';

/** A way to load a bundle, with its check and without. */
export interface Load {
  readonly name: string;
  readonly backend: 'onnx' | 'tfjs' | 'wgsl';
  run(dir: string, check: boolean): Promise<void>;
}

/** What `pgconv run` does, up to the first token. */
async function firstToken(dir: string, check: boolean): Promise<void> {
  const manifest = await readManifest(dir);
  const { signal } = new AbortController();
  await whileChecked(dir, manifest, { check, signal }, async () => {
    const model = await openStaged(dir, manifest);
    try {
      const { imageSize, imageTokens, imageTokenId, padTokenId } = model.metadata;
      const shape = [1, 3, imageSize, imageSize];
      const ids = [...Array<number>(imageTokens).fill(imageTokenId), 2, 5];
      const prompt = {
        pixelValues: { dtype: 'f32' as const, shape, data: new Float32Array(3 * imageSize ** 2) },
        ...padLeft([ids], padTokenId),
        imageTokenId,
      };
      for await (const _ of generateRow(model, prompt, { maxNewTokens: 1 }));
    } finally {
      await model.dispose();
    }
  });
}

const device = deviceWithoutGpu('none');

export const LOADS: readonly Load[] = [
  { name: 'pgconv run, to the first token', backend: 'onnx', run: firstToken },
  {
    name: 'pgconv/tfjs, load on cpu',
    backend: 'tfjs',
    async run(dir, integrity) {
      const tf = await nodeTfjs('cpu');
      (await loadTfjs(dir, { tf, integrity })).dispose();
    },
  },
  {
    name: 'pgconv/runtime, load without a device',
    backend: 'wgsl',
    run: async (dir, integrity) => (await loadWgsl(dir, { device, integrity })).dispose(),
  },
  {
    name: 'fetch by loopback, all files',
    backend: 'onnx',
    async run(dir, check) {
      const server = await serveFolders({ '/bundle/': dir });
      try {
        const base = `${server.url}/bundle/`;
        const ask = check ? await verifiedFetch(base) : fetch;
        for (const path of await listFiles(dir)) await (await ask(`${base}${path}`)).arrayBuffer();
      } finally {
        await server.close();
      }
    },
  },
  {
    name: 'checkBundle, beside nothing',
    backend: 'onnx',
    run: async (dir, check) => void (check && (await checkBundle(dir))),
  },
];
