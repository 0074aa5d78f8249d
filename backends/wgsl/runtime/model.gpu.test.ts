import { afterAll, describe, expect } from 'vitest';
import { itOnGpu } from '../../testing/gpu.ts';
import { load } from './load.ts';
import type { ImageFeatures } from './image_features.ts';
import type { DecodeOptions, Model } from './model.ts';
import { countedGpu } from './testing/counted_gpu.ts';
import { asBlobs } from '../../client/integrity/testing/with_hashes.ts';
import { toyBundle } from './testing/toy_bundle.ts';
import { TOY, toyFeatures, toyTokens } from './testing/toy_model.ts';

const IMAGE = TOY.imageTokenId;
const gpu = countedGpu();
let model: Promise<Model> | undefined;
const opened = (): Promise<Model> => (model ??= toyBundle().then((files) => load(asBlobs(files), { gpu })));
afterAll(async () => (await model)?.dispose());

/** Values that the toy rounds; what the picture library makes of pixels is tested with it. */
const picture = (seed: number) => ({
  width: 2,
  height: 2,
  data: Uint8Array.from({ length: 12 }, (_, i) => (i * 37 * seed + 11) % 256),
});
const seen = ({ data }: { readonly data: Uint8Array }) =>
  toyFeatures(
    Float32Array.from({ length: 12 }, (_, i) =>
      Math.fround((Math.fround(data[(i % 4) * 3 + Math.floor(i / 4)]! * (1 / 255)) - 0.5) / 0.5),
    ),
  );

async function decoded(
  rows: readonly (readonly number[])[],
  images: readonly ImageFeatures[],
  options: DecodeOptions & { readonly maxTokens: number },
) {
  const toy = await opened();
  await toy.prefill({ rows, images, maxNewTokens: options.maxTokens });
  const steps: (readonly (number | undefined)[])[] = [];
  for await (const step of toy.decode(options)) steps.push(step);
  return rows.map((_, row) => steps.flatMap((step) => (step[row] === undefined ? [] : [step[row]])));
}

describe('decode, against what the toy computes', () => {
  const rows = [[2, 5, 9], [2, 7, 4, 3, 11, 6], [8]];

  for (const ahead of [1, 2, 3, 8])
    itOnGpu(`rows of different length, ${ahead} tokens ahead`, async () => {
      expect(await decoded(rows, [], { maxTokens: 12, ahead, stopTokenIds: [] })).toEqual(
        rows.map((row) => neverEnding(row, 12)),
      );
    });

  itOnGpu('each row ends by itself', async () => {
    const expected = toyTokens(rows, [], 12);
    expect(new Set(expected.map((tokens) => tokens.length)).size).toBeGreaterThan(1);
    expect(await decoded(rows, [], { maxTokens: 12, ahead: 2 })).toEqual(expected);
  });

  itOnGpu('pictures take the place of their tokens, those of other rows too', async () => {
    const toy = await opened();
    const pictures = [picture(1), picture(2), picture(3)];
    const images: ImageFeatures[] = [];
    for (const next of pictures) images.push(await toy.encodeImage(next));
    const prompts = [
      [IMAGE, IMAGE, 2, 5],
      [IMAGE, IMAGE, IMAGE, IMAGE, 2, 9, 4],
    ];
    expect(await decoded(prompts, images, { maxTokens: 6 })).toEqual(toyTokens(prompts, pictures.flatMap(seen), 6));
    // features are the caller's, and may be read again
    expect(await decoded([[IMAGE, IMAGE, 3]], [images[2]!], { maxTokens: 4 })).toEqual(
      toyTokens([[IMAGE, IMAGE, 3]], seen(pictures[2]!), 4),
    );
    for (const features of images) features.destroy();
  });

  itOnGpu('n + 1 tokens read at once are n read and one decoded', async () => {
    const toy = await opened();
    const [first] = neverEnding([2, 5, 9], 2);
    await toy.prefill({ rows: [[2, 5, 9, first!]] });
    const whole = await toy.logits();
    await toy.prefill({ rows: [[2, 5, 9]] });
    const tokens = toy.decode({ maxTokens: 2, ahead: 2, stopTokenIds: [] });
    for await (const _ of tokens);
    expect([...(await toy.logits()).data]).toEqual([...whole.data]);
  });

  itOnGpu('temperature and seeds', async () => {
    const sampled = (seed: number) =>
      decoded([[2, 5, 9]], [], { maxTokens: 10, temperature: 4, seed, stopTokenIds: [] });
    expect(await sampled(1)).toEqual(await sampled(1));
    expect(await sampled(1)).not.toEqual(await sampled(2));
    expect((await sampled(3))[0]!.every((token) => token < TOY.vocabSize)).toBe(true);
  });
});

function neverEnding(row: readonly number[], count: number): number[] {
  const tokens: number[] = [];
  while (tokens.length < count) tokens.push(...toyTokens([[...row, ...tokens]], [], count - tokens.length)[0]!);
  return tokens;
}

describe('what a token costs', () => {
  itOnGpu('six dispatches, no bind group, four bytes, a share of a submit', async () => {
    const toy = await opened();
    await decoded([[2, 5, 9]], [], { maxTokens: 30, stopTokenIds: [] });
    await toy.prefill({ rows: [[2, 5, 9]], maxNewTokens: 24 });
    const [before, held] = [{ ...toy.counters }, toy.memory.bytes];
    for await (const _ of toy.decode({ maxTokens: 24, ahead: 8, stopTokenIds: [] }));
    const spent = (name: keyof typeof before) => toy.counters[name] - before[name];
    // 23 steps of 1 + 3 kernels, 24 tokens of 2; the sampler has two bind groups
    expect([
      spent('dispatches'),
      spent('submits'),
      spent('passes'),
      spent('readbackBytes'),
      spent('bindGroups'),
    ]).toEqual([23 * 4 + 24 * 2, 3, 3, 4 * 24, 2]);
    expect(toy.memory.bytes).toBe(held);
  });
});

describe('calls that do not fit', () => {
  itOnGpu(
    'decode before prefill, two at once, images and tokens that differ, prompts that are too long or empty',
    async () => {
      const toy = await opened();
      const bad = { code: 'bad_input' };
      await decoded([[2]], [], { maxTokens: 1 });
      await expect(toy.decode().next()).rejects.toMatchObject(bad);
      await toy.prefill({ rows: [[2]] });
      const running = toy.decode({ maxTokens: 5, stopTokenIds: [] });
      await running.next();
      await expect(toy.prefill({ rows: [[2]] })).rejects.toMatchObject(bad);
      await running.return(undefined);
      await expect(toy.prefill({ rows: [[IMAGE, IMAGE, 2]] })).rejects.toMatchObject(bad);
      await expect(toy.prefill({ rows: [Array<number>(65).fill(2)] })).rejects.toMatchObject(bad);
      await expect(toy.prefill({ rows: [[]] })).rejects.toMatchObject(bad);
      await expect(toy.prefill({ rows: [[1000]] })).rejects.toMatchObject(bad);
      await expect(toy.encodeImage({ width: 2, height: 2, data: new Uint8Array(5) })).rejects.toMatchObject(bad);
      await toy.prefill({ rows: [Array<number>(60).fill(2)], maxNewTokens: 50 });
      let count = 0;
      for await (const _ of toy.decode({ stopTokenIds: [] })) count++;
      // as many as the model has positions, and one that is not read
      expect(count).toBe(5);
    },
  );

  itOnGpu('numbers of this runtime; more stop tokens than the device looks at end rows as well', async () => {
    const toy = await opened();
    await toy.prefill({ rows: [[2, 5, 9]], maxNewTokens: 3 });
    for (const options of [{ ahead: 0 }, { ahead: 1.5 }, { ahead: NaN }])
      await expect(toy.decode(options).next()).rejects.toMatchObject({ code: 'bad_input' });
    const tokens: (number | undefined)[] = [];
    for await (const [token] of toy.decode({ ahead: 1e9, stopTokenIds: [] })) tokens.push(token);
    expect(tokens).toEqual(neverEnding([2, 5, 9], 3));
    const [, second] = neverEnding([2, 5, 9], 3);
    const others = Array.from({ length: 12 }, (_, id) => id).filter((id) => !tokens.includes(id));
    expect(others.length).toBeGreaterThan(3);
    expect(await decoded([[2, 5, 9]], [], { maxTokens: 3, stopTokenIds: [...others, second!] })).toEqual([
      neverEnding([2, 5, 9], 2),
    ]);
  });

  itOnGpu('a prompt that the device has no room for leaves it as good as new', async () => {
    const gpu = countedGpu({ limits: { maxStorageBufferBindingSize: 4096, maxBufferSize: 4096 } });
    const toy = await load(asBlobs(await toyBundle()), { gpu });
    const limited = gpu.devices[0]!;
    Object.defineProperty(limited, 'limits', { value: { maxStorageBufferBindingSize: 4096, maxBufferSize: 4096 } });
    const answer = async (count: number, maxNewTokens: number) => {
      const rows = Array.from({ length: count }, () => [2, 5, 9]);
      await toy.prefill({ rows, maxNewTokens });
      const tokens: (number | undefined)[] = [];
      for await (const [token] of toy.decode({ stopTokenIds: [] })) tokens.push(token);
      return tokens;
    };
    expect(await answer(1, 40)).toEqual(neverEnding([2, 5, 9], 40));
    await expect(answer(20, 40)).rejects.toMatchObject({ code: 'small_limit' });
    // neither the capacity of the refused call nor that of a longer one before counts
    expect(await answer(20, 4)).toEqual(neverEnding([2, 5, 9], 4));
    expect(await answer(1, 40)).toEqual(neverEnding([2, 5, 9], 40));
    await toy.dispose();
    expect(gpu.live()).toEqual([]);
  });

  itOnGpu('so does one for which its memory does not suffice', async () => {
    const gpu = countedGpu();
    const toy = await load(asBlobs(await toyBundle()), { gpu });
    const device = gpu.devices[0]!;
    await toy.prefill({ rows: [[2, 5, 9]], maxNewTokens: 2 });
    const held = toy.memory.bytes;
    const pop = device.popErrorScope.bind(device);
    device.popErrorScope = async () => (await pop(), new GPUOutOfMemoryError('no room'));
    await expect(toy.prefill({ rows: [[2, 5, 9]], maxNewTokens: 60 })).rejects.toMatchObject({
      code: 'out_of_memory',
    });
    expect(toy.memory.bytes).toBeLessThanOrEqual(held);
    device.popErrorScope = pop;
    await expect(toy.decode().next()).rejects.toMatchObject({ code: 'bad_input' });
    await expect(toy.logits()).rejects.toMatchObject({ code: 'bad_input' });
    await toy.prefill({ rows: [[2, 5, 9]], maxNewTokens: 4 });
    const tokens: (number | undefined)[] = [];
    for await (const [token] of toy.decode({ stopTokenIds: [] })) tokens.push(token);
    expect(tokens).toEqual(neverEnding([2, 5, 9], 4));
    await toy.dispose();
    expect(gpu.live()).toEqual([]);
  });

  itOnGpu('a command that the device refuses is told by its own call, and by no other', async () => {
    const gpu = countedGpu();
    const toy = await load(asBlobs(await toyBundle()), { gpu });
    const device = gpu.devices[0]!;
    const refused = () => void device.createSampler({ lodMinClamp: -1 });
    const held = toy.memory.bytes;
    const submit = device.queue.submit.bind(device.queue);
    device.queue.submit = (commands) => (submit(commands), refused());
    await expect(toy.prefill({ rows: [[2, 5, 9]], maxNewTokens: 4 })).rejects.toMatchObject({ code: 'refused' });
    await expect(toy.decode().next()).rejects.toMatchObject({ code: 'bad_input' });
    const live = gpu.live().filter((label) => label === 'image features').length;
    await expect(toy.encodeImage(picture(1))).rejects.toMatchObject({ code: 'refused' });
    expect(gpu.live().filter((label) => label === 'image features')).toHaveLength(live);
    device.queue.submit = submit;
    expect(toy.memory.bytes).toBeGreaterThan(held);
    const tokens = async (steps: number) => {
      await toy.prefill({ rows: [[2, 5, 9]], maxNewTokens: 8 });
      const all: (number | undefined)[] = [];
      for await (const [token] of toy.decode({ stopTokenIds: [], ahead: 2 })) if (all.push(token) === steps) break;
      return all;
    };
    expect(await tokens(4)).toEqual(neverEnding([2, 5, 9], 4));
    // one that fails for another reason, and whose command is refused as well
    const pop = device.popErrorScope.bind(device);
    let once = true;
    device.popErrorScope = async () => {
      const error = await pop();
      if (!once) return error;
      once = false;
      refused();
      return new GPUOutOfMemoryError('no room');
    };
    await expect(toy.prefill({ rows: [[2], [3], [4], [5]], maxNewTokens: 60 })).rejects.toMatchObject({
      code: 'out_of_memory',
    });
    expect(await tokens(8)).toEqual(neverEnding([2, 5, 9], 8));
    // while tokens come
    await toy.prefill({ rows: [[2, 5, 9]], maxNewTokens: 8 });
    device.queue.submit = (commands) => (submit(commands), refused());
    const failing = toy.decode({ stopTokenIds: [], ahead: 2 });
    await expect(failing.next()).rejects.toMatchObject({ code: 'refused' });
    device.queue.submit = submit;
    expect(await tokens(8)).toEqual(neverEnding([2, 5, 9], 8));
    await toy.dispose();
    expect(gpu.live()).toEqual([]);
  });

  itOnGpu('features that were given back, or are of another model', async () => {
    const [toy, other] = [await opened(), await load(asBlobs(await toyBundle()), { gpu })];
    const rows = [[IMAGE, IMAGE, 2]];
    const gone = await toy.encodeImage(picture(1));
    gone.destroy();
    const foreign = await other.encodeImage(picture(1));
    for (const features of [gone, foreign])
      await expect(toy.prefill({ rows, images: [features] })).rejects.toMatchObject({ code: 'bad_input' });
    await other.prefill({ rows, images: [foreign] });
    await other.dispose();
  });

  itOnGpu('an abort ends decoding with its reason', async () => {
    const toy = await opened();
    await toy.prefill({ rows: [[2, 3]], maxNewTokens: 20 });
    const stop = new AbortController();
    const made: unknown[] = [];
    await expect(
      (async () => {
        for await (const step of toy.decode({ signal: stop.signal, ahead: 2, stopTokenIds: [] })) {
          made.push(step);
          if (made.length === 3) stop.abort(new Error('enough'));
        }
      })(),
    ).rejects.toThrow('enough');
    expect(made).toHaveLength(3);
    expect(await decoded([[2, 5, 9]], [], { maxTokens: 3, stopTokenIds: [] })).toEqual([neverEnding([2, 5, 9], 3)]);
  });
});

describe('for comparisons', () => {
  itOnGpu('stages and ports of what was read', async () => {
    const toy = await opened();
    await toy.prefill({ rows: [[2, 5], [3]] });
    expect((await toy.dumpTensor('lm.0')).shape).toEqual([2, 2, 4]);
    expect((await toy.dumpTensor('hidden')).shape).toEqual([2]);
    expect((await toy.dumpTensor('present.0.key')).shape).toEqual([2, 1, 2, 4]);
    await expect(toy.dumpTensor('nothing')).rejects.toMatchObject({ code: 'bad_input' });
  });

  itOnGpu('time by kernel, or a named refusal', async () => {
    const toy = await opened();
    await toy.prefill({ rows: [[2, 5]] });
    if (!toy.info.features.includes('timestamp-query'))
      return expect(toy.profile()).rejects.toMatchObject({ code: 'missing_feature' });
    const times = await toy.profile();
    expect(times.map(({ label, shader }) => [label, shader])).toEqual([
      ['present.0.key', 'shaders/append.wgsl'],
      ['hidden', 'shaders/read.wgsl'],
      ['logits', 'shaders/say.wgsl'],
    ]);
    expect(times.every(({ microseconds }) => microseconds >= 0)).toBe(true);
  });
});
