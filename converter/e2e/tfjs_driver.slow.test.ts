import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../backends/client/sources/open_source.ts';
import { readBundle } from '../../backends/tfjs/driver/bundle.ts';
import { plannedMemory } from '../../backends/tfjs/driver/planned_memory.ts';
import { PLAN_PATH } from '../../backends/tfjs/plan.ts';
import { load, type Model } from '../../backends/tfjs/driver/index.ts';
import { nodeTfjs, type TfDevice } from '../../backends/tfjs/node_tfjs.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { readRecording } from '../testing/recording.ts';

/* pgconv/tfjs on bundles that the converter writes: what a user's program does. */

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-tfjs-driver-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const made = new Map<string, Promise<string>>();
/** The same bundle for all tests that ask for it. */
function bundleOf(checkpoint: string, precision: Precision, layersPerGraph = 1): Promise<string> {
  const name = `${checkpoint.replaceAll('/', '-')}-${precision}-${layersPerGraph}`;
  const known =
    made.get(name) ??
    convert(
      {
        checkpoint: `fixtures/${checkpoint}`,
        backend: 'tfjs',
        precision,
        out: join(root, name),
        verify: false,
        layersPerGraph,
      },
      silentReporter,
    ).then(({ out }) => out);
  made.set(name, known);
  return known;
}

interface Asked {
  readonly image: string;
  readonly prompt: string;
  readonly text: string;
}

async function casesOfShapes(count: number): Promise<readonly Asked[]> {
  const { cases } = JSON.parse(await readFile('fixtures/shapes/eval.json', 'utf8')) as {
    readonly cases: readonly Asked[];
  };
  return cases.slice(0, count);
}

async function answer(model: Model, { image, prompt }: Asked): Promise<string> {
  let said = '';
  for await (const piece of model.generate({ image: `fixtures/shapes/images/${image}`, prompt, maxNewTokens: 40 }))
    said += piece;
  return said;
}

/** Everything that a use of the model has made is given back. */
async function withoutLeak(
  device: TfDevice,
  use: (tf: Awaited<ReturnType<typeof nodeTfjs>>) => Promise<void>,
): Promise<void> {
  const tf = await nodeTfjs(device);
  const before = tf.memory();
  await use(tf);
  const { numTensors, numBytes, numDataBuffers } = tf.memory();
  expect({ numTensors, numBytes, numDataBuffers }).toEqual({
    numTensors: before.numTensors,
    numBytes: before.numBytes,
    numDataBuffers: before.numDataBuffers,
  });
}

describe('shapes', () => {
  it.each<readonly [Precision, TfDevice]>([
    ['fp16', 'wasm'],
    ['int8', 'cpu'],
    ['int4', 'wasm'],
  ])(
    '%s on %s answers as the original did, and leaves nothing in tfjs',
    async (precision, device) => {
      const bundle = await bundleOf('shapes/hf', precision, 2);
      await withoutLeak(device, async (tf) => {
        const model = await load(bundle, { tf });
        // with 4 bits in every matrix another circle is named in the first, in every runtime
        const asked = (await casesOfShapes(5)).slice(1);
        for (const each of asked) expect(await answer(model, each)).toBe(each.text);
        model.dispose();
      });
    },
    300_000,
  );

  itOnGpu(
    'fp16 on webgpu, whose weights the device has once they are loaded',
    async () => {
      const bundle = await bundleOf('shapes/hf', 'fp16', 2);
      const { loaded } = plannedMemory(await readBundle(openSource(bundle, PLAN_PATH)));
      await withoutLeak('webgpu', async (tf) => {
        const onDevice = () => (tf.memory() as unknown as { numBytesInGPU: number }).numBytesInGPU;
        const before = onDevice();
        const model = await load(bundle, { tf });
        expect(onDevice() - before).toBeGreaterThan(0.95 * loaded);
        for (const asked of await casesOfShapes(2)) expect(await answer(model, asked)).toBe(asked.text);
        model.dispose();
      });
    },
    300_000,
  );

  it('says what came of the weights, and takes one picture for several prompts', async () => {
    const tf = await nodeTfjs('wasm');
    const told: number[] = [];
    const model = await load(await bundleOf('shapes/hf', 'fp16', 2), {
      tf,
      onProgress: ({ loaded, total }) => told.push(loaded / total),
    });
    expect(told.at(-1)).toBe(1);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    const [first] = await casesOfShapes(1);
    const features = await model.encodeImage(await readFile(`fixtures/shapes/images/${first!.image}`));
    for (let i = 0; i < 2; i++) {
      let said = '';
      for await (const piece of model.generate({ image: features, prompt: first!.prompt })) said += piece;
      expect(said).toBe(first!.text);
    }
    features.dispose();
    model.dispose();
  }, 120_000);
});

describe.each(['pg1-tiny', 'pg2-tiny'])('%s', (fixture) => {
  it('a padded batch says the recorded tokens', async () => {
    const { cases, reference } = await readRecording(`fixtures/${fixture}`);
    const bundle = await bundleOf(`${fixture}/hf`, 'fp32');
    await withoutLeak('cpu', async (tf) => {
      const model = await load(bundle, { tf });
      const { imageSize, imageTokenId } = model.facts;
      for (const { name, inputIds, attentionMask, pixelValues, imageTokenId: recorded, maxNewTokens } of cases) {
        const [batch, length] = inputIds.shape as [number, number];
        const rows = Array.from({ length: batch }, (_, row) =>
          Array.from({ length }, (_, t) => row * length + t).flatMap((i) =>
            attentionMask.data[i] === 0 ? [] : [inputIds.data[i] === recorded ? imageTokenId : inputIds.data[i]!],
          ),
        );
        const pixels = 3 * imageSize * imageSize;
        const images = [];
        for (let i = 0; i < pixelValues.shape[0]!; i++)
          images.push(
            await model.encodePixels(Float32Array.from(pixelValues.data.subarray(i * pixels, (i + 1) * pixels))),
          );
        await model.prefill({ rows, images, maxNewTokens });
        const tokens: (number | undefined)[][] = rows.map(() => []);
        for await (const step of model.decode({ stopTokenIds: [] }))
          step.forEach((token, row) => tokens[row]!.push(token));
        expect(tokens, name).toEqual(reference.outcomes.get(name)!.greedy!.tokens);
        for (const features of images) features.dispose();
      }
      model.dispose();
    });
  }, 120_000);
});

describe('a model that is loaded reads no file: rows of the embedding come out of the head', () => {
  it.each<readonly [string, Precision, TfDevice]>([
    ['pg1-tiny', 'fp32', 'cpu'],
    ['shapes', 'int8', 'wasm'],
    ['shapes', 'int4', 'cpu'],
  ])('%s %s on %s', expectFilesUnread, 120_000);
  itOnGpu('shapes int4 on webgpu', () => expectFilesUnread('shapes', 'int4', 'webgpu'), 300_000);

  async function expectFilesUnread(fixture: string, precision: Precision, device: TfDevice): Promise<void> {
    const bundle = await bundleOf(`${fixture}/hf`, precision);
    const dir = join(root, `gone-${fixture}-${precision}-${device}`);
    await cp(bundle, dir, { recursive: true });
    const tokensOf = async (model: Model) => {
      await model.prefill({ rows: [[model.facts.bosTokenId, 5, 7, 11]], maxNewTokens: 6 });
      const all: (number | undefined)[] = [];
      for await (const [token] of model.decode({ stopTokenIds: [] })) all.push(token);
      model.dispose();
      return all;
    };
    const model = await load(dir, { tf: await nodeTfjs(device) });
    await rm(dir, { recursive: true });
    const tokens = await tokensOf(model);
    expect(tokens).toHaveLength(6);
    expect(tokens).toEqual(await tokensOf(await load(bundle, { tf: await nodeTfjs('cpu') })));
  }
});

describe('sampling', () => {
  it('is greedy for the best token alone, the same for a seed, and another for others', async () => {
    const tf = await nodeTfjs('cpu');
    const model = await load(await bundleOf('pg1-tiny/hf', 'fp32'), { tf });
    const tokens = async (options: object) => {
      await model.prefill({ rows: [[model.facts.bosTokenId, 5, 7]], maxNewTokens: 12 });
      const all: (number | undefined)[] = [];
      for await (const [token] of model.decode({ stopTokenIds: [], ...options })) all.push(token);
      return all;
    };
    const greedy = await tokens({});
    expect(greedy).toHaveLength(12);
    expect(await tokens({ temperature: 5, topK: 1 })).toEqual(greedy);
    expect(await tokens({ temperature: 5, topP: 1e-9 })).toEqual(greedy);
    const sampled = await tokens({ temperature: 5, seed: 3 });
    expect(await tokens({ temperature: 5, seed: 3 })).toEqual(sampled);
    expect(await tokens({ temperature: 5, seed: 4 })).not.toEqual(sampled);
    model.dispose();
  }, 120_000);
});

describe('a bundle that is damaged is an error by name, and nothing stays in tfjs', () => {
  type Damage = (dir: string) => Promise<void>;
  const edit =
    (file: string, change: (json: never) => void): Damage =>
    async (dir) => {
      const path = join(dir, file);
      const json = JSON.parse(await readFile(path, 'utf8')) as never;
      change(json);
      await writeFile(path, JSON.stringify(json));
    };
  type Plan = {
    version: number;
    graphs: {
      name: string;
      parts: { folder: string; inputs: string[] }[];
      tables: { runs: { rows: number; storage: { weight: string } }[] }[];
    }[];
    files: { path: string; bytes: number }[];
  };
  const graphOf = ({ graphs }: Plan, name: string) => graphs.find((graph) => graph.name === name)!;
  type ModelJson = {
    modelTopology: { node: { op: string; name: string; input: string[] }[] };
    weightsManifest: { paths: string[]; weights: { shape: number[] }[] }[];
  };
  const cases: readonly (readonly [string, Damage, string, RegExp])[] = [
    [
      'a shard is missing',
      (dir) => rm(join(dir, 'decoder_00/weights_00.bin')),
      'not_found',
      /decoder_00\/weights_00\.bin/,
    ],
    [
      'a shard is short',
      (dir) => truncate(join(dir, 'decoder_01/weights_00.bin'), 100),
      'damaged',
      /decoder_01\/weights_00\.bin ends after 100 bytes, and bytes up to \d+ are needed/,
    ],
    [
      'a shard is long',
      async (dir) =>
        writeFile(
          join(dir, 'vision/weights_00.bin'),
          Buffer.concat([await readFile(join(dir, 'vision/weights_00.bin')), Buffer.alloc(4)]),
        ),
      'damaged',
      /vision\/weights_00\.bin should have \d+ bytes: it is longer/,
    ],
    [
      'a path leaves the bundle',
      edit('vision/model.json', (json: ModelJson) => void (json.weightsManifest[0]!.paths[0] = '../../secret.bin')),
      'damaged',
      /a path below the bundle/,
    ],
    [
      'a folder leaves the bundle',
      edit('tfjs.json', (json: Plan) => void (json.graphs[0]!.parts[0]!.folder = '../other')),
      'damaged',
      /a path below the bundle/,
    ],
    [
      'a shape does not match its bytes',
      edit(
        'decoder_00/model.json',
        (json: ModelJson) => void json.weightsManifest[0]!.weights.find(({ shape }) => shape.length === 2)!.shape[0]!++,
      ),
      'damaged',
      /decoder_00\/weights_00\.bin has \d+ bytes, and its weights .* need \d+/,
    ],
    [
      'an op is unknown',
      edit(
        'decoder_00/model.json',
        (json: ModelJson) => void (json.modelTopology.node.find(({ op }) => op === 'Softmax')!.op = 'Sofmax'),
      ),
      'damaged',
      /decoder_00\/model\.json: node \S+ is an unknown op, Sofmax/,
    ],
    [
      'a node needs one that is not there',
      edit(
        'decoder_00/model.json',
        (json: ModelJson) => void (json.modelTopology.node.find(({ op }) => op === 'Softmax')!.input[0] = 'nobody'),
      ),
      'damaged',
      /decoder_00\/model\.json: node \S+ needs nobody, which is not there/,
    ],
    [
      'a part needs what nothing makes',
      edit('tfjs.json', (json: Plan) => void graphOf(json, 'decoder').parts[1]!.inputs.push('nobody')),
      'damaged',
      /tfjs\.json: decoder_01 needs "nobody", which nothing before it makes/,
    ],
    [
      'a part does not get what it needs',
      edit('tfjs.json', (json: Plan) => void graphOf(json, 'decoder').parts[1]!.inputs.pop()),
      'damaged',
      /decoder_01\/model\.json needs "\S+", which tfjs\.json does not give it/,
    ],
    [
      'rows of the embedding are under another name',
      edit(
        'tfjs.json',
        (json: Plan) => void (graphOf(json, 'embed_tokens').tables[0]!.runs[0]!.storage.weight = 'nobody'),
      ),
      'damaged',
      /rows of \S+ should be in head_00 under "nobody"/,
    ],
    [
      'there are fewer rows than it says',
      edit('tfjs.json', (json: Plan) => void graphOf(json, 'embed_tokens').tables[0]!.runs[0]!.rows++),
      'damaged',
      /\d+ rows of \S+ should be in head_00/,
    ],
    [
      'it is of a later version',
      edit('tfjs.json', (json: Plan) => void (json.version = 2)),
      'newer_version',
      /version 2/,
    ],
    ['the plan is no JSON', (dir) => writeFile(join(dir, 'tfjs.json'), '{'), 'damaged', /tfjs\.json is no JSON/],
    ['there is no plan', (dir) => rm(join(dir, 'tfjs.json')), 'not_found', /tfjs\.json/],
  ];

  it.each(cases)('%s', async (name, damage, code, message) => {
    const dir = join(root, `damaged-${name.replaceAll(/\W+/g, '-')}`);
    await cp(await bundleOf('pg1-tiny/hf', 'fp32'), dir, { recursive: true });
    await damage(dir);
    await withoutLeak('cpu', async (tf) => {
      await expect(load(dir, { tf, integrity: false })).rejects.toThrow(
        expect.objectContaining({ name: 'RuntimeError', code, message: expect.stringMatching(message) }),
      );
      // who checks knows before anything of it is read
      await expect(load(dir, { tf })).rejects.toThrow(
        expect.objectContaining({
          name: 'RuntimeError',
          code: 'damaged',
          message: expect.stringMatching(/\.(json|bin)/),
        }),
      );
    });
  });

  it('so is a dispose while it is at work', async () => {
    const bundle = await bundleOf('pg1-tiny/hf', 'fp32');
    await withoutLeak('cpu', async (tf) => {
      const model = await load(bundle, { tf });
      const reading = model.prefill({ rows: [[2, 5]] });
      model.dispose();
      await expect(reading).rejects.toThrow(expect.objectContaining({ code: 'disposed' }));
    });
  });

  it('so is a call that is refused, and a prefill that fails on its way', async () => {
    const bundle = await bundleOf('pg1-tiny/hf', 'fp32');
    await withoutLeak('cpu', async (tf) => {
      let fails = true;
      const concat: typeof tf.concat = (...of) => {
        if (fails) throw new Error('no room');
        return tf.concat(...of);
      };
      const model = await load(bundle, { tf: { ...tf, concat } });
      const { imageSize, imageTokens, imageTokenId } = model.facts;
      const rows = [[...Array<number>(imageTokens).fill(imageTokenId), 2, 5]];
      const tensors = tf.memory().numTensors;
      const gone = await model.encodePixels(new Float32Array(3 * imageSize ** 2));
      gone.dispose();
      await expect(model.prefill({ rows, images: [gone] })).rejects.toMatchObject({ code: 'bad_input' });
      const features = await model.encodePixels(new Float32Array(3 * imageSize ** 2));
      await expect(model.prefill({ rows, images: [features] })).rejects.toThrow('no room');
      await expect(model.logits()).rejects.toMatchObject({ code: 'bad_input' });
      expect(tf.memory().numTensors).toBe(tensors + 1);
      fails = false;
      await model.prefill({ rows, images: [features], maxNewTokens: 2 });
      for (const options of [{ temperature: -1 }, { topP: 7 }, { topK: 1.5 }, { seed: NaN }, { maxTokens: NaN }])
        await expect(model.decode(options).next()).rejects.toMatchObject({ code: 'bad_input' });
      let steps = 0;
      for await (const _ of model.decode({ stopTokenIds: [] })) steps++;
      expect(steps).toBe(2);
      features.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
      model.dispose();
    });
  });

  it('so is a call that fails at whichever tensor it makes', async () => {
    const bundle = await bundleOf('pg1-tiny/hf', 'fp32');
    await withoutLeak('cpu', async (tf) => {
      let left = Infinity;
      const failing =
        <A extends unknown[], R>(make: (...given: A) => R) =>
        (...given: A): R => {
          if (--left < 0) throw new Error('no room');
          return make(...given);
        };
      const { tensor, zeros, scalar, reshape, slice, concat } = tf;
      const model = await load(bundle, {
        tf: {
          ...tf,
          tensor: failing<Parameters<typeof tensor>, ReturnType<typeof tensor>>(tensor) as typeof tensor,
          zeros: failing(zeros),
          scalar: failing(scalar),
          reshape: failing(reshape),
          slice: failing(slice),
          concat: failing(concat),
        },
      });
      const { imageSize, imageTokens, imageTokenId } = model.facts;
      const rows = [[...Array<number>(imageTokens).fill(imageTokenId), 2, 5]];
      const tensors = tf.memory().numTensors;
      const use = async () => {
        const features = await model.encodePixels(new Float32Array(3 * imageSize ** 2));
        try {
          await model.prefill({ rows, images: [features], maxNewTokens: 3 });
          for await (const _ of model.decode({ stopTokenIds: [] }));
        } finally {
          features.dispose();
        }
      };
      let made = 0;
      for (; ; made++) {
        left = made;
        const failed = await use().then(
          () => false,
          (error: Error) => error.message === 'no room' || Promise.reject(error),
        );
        if (!failed) break;
        expect(tf.memory().numTensors, `of ${made} tensors`).toBe(tensors);
      }
      // picture, embeddings with it, caches, two steps
      expect(made).toBeGreaterThan(20);
      expect(tf.memory().numTensors).toBe(tensors);
      model.dispose();
    });
  });

  it('so is a load that is aborted, and a use after dispose', async () => {
    const bundle = await bundleOf('pg1-tiny/hf', 'fp32');
    await withoutLeak('cpu', async (tf) => {
      const stop = new AbortController();
      const loading = load(bundle, { tf, signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
      await expect(loading).rejects.toThrow('enough');
      const model = await load(bundle, { tf });
      await model.prefill({ rows: [[2, 5]] });
      model.dispose();
      await expect(model.prefill({ rows: [[2, 5]] })).rejects.toThrow(expect.objectContaining({ code: 'disposed' }));
    });
  });
});
