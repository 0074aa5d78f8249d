import type { ProgramMetadata } from '../../../ir/metadata.ts';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test, vi } from 'vitest';
import { RuntimeError } from '../errors.ts';
import { openSource } from '../sources/open_source.ts';
import type { TokenChunks } from './decode.ts';
import type { DeviceModel, StepsRequest } from './device_model.ts';
import { PictureModel } from './picture_model.ts';
import type { Prompt } from './prompt.ts';

const IMAGE = 9;
const facts = {
  family: 'toy',
  variant: 'toy',
  imageSize: 2,
  imageTokens: 2,
  imageTokenId: IMAGE,
  vocabSize: 8,
  layers: 1,
  kvHeads: 1,
  headDim: 1,
  hiddenSize: 1,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
  maxPositions: 10,
};

class Features {
  isLive = true;
}

/** Counts down from the last id of each row to 1, one step a chunk; records what it is asked for. */
class CountingDevice implements DeviceModel<Features, { readonly own?: number }> {
  readonly prompts: Prompt[] = [];
  readonly requests: StepsRequest[] = [];
  readonly masked: number[][] = [];
  encoded = 0;
  refuses = false;
  /** Resolved by a test that wants a call to last. */
  wait: Promise<void> | undefined;

  async encode(): Promise<Features> {
    await this.wait;
    this.encoded++;
    return new Features();
  }

  isFeatures(value: object): value is Features {
    return value instanceof Features;
  }

  holds({ isLive }: Features): boolean {
    return isLive;
  }

  free(features: Features): void {
    features.isLive = false;
  }

  async prefill(prompt: Prompt): Promise<void> {
    await this.wait;
    if (this.refuses) throw new Error('no room');
    this.prompts.push(prompt);
  }

  async masks(codes: Int32Array): Promise<Float32Array> {
    this.masked.push([...codes]);
    return Float32Array.from({ length: (codes.length / 16) * 4 }, (_, i) => i);
  }

  readonly ownOptions = ['own'] as const;

  checkSteps({ own = 0 }: { readonly own?: number }): void {
    if (own > 1) throw new RuntimeError('bad_input', 'not that one');
  }

  async *steps({ rows, length, inputIds }: Prompt, request: StepsRequest): TokenChunks {
    this.requests.push(request);
    const last = Array.from({ length: rows }, (_, row) => inputIds[(row + 1) * length - 1]!);
    for (let step = 1; step <= request.steps; step++) yield last.map((id) => Math.max(0, id - step));
  }
}

const WORDS = ['<pad>', '<eos>', '<bos>', '<unk>', 'a', 'b', 'c', '\n', '-', '<image>'];
const tokenizer = {
  version: '1.0',
  added_tokens: [0, 1, 2, 3, 9].map((id) => ({
    id,
    content: WORDS[id]!,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: { type: 'Fuse' },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
    merges: [],
    unk_token: '<unk>',
  },
};

class TestModel extends PictureModel<Features, { readonly own?: number }> {
  override use(device: CountingDevice): void {
    super.use(device);
  }
}

function opened(
  files: Readonly<Record<string, object>> = { 'tokenizer.json': tokenizer, 'tokenizer_config.json': {} },
  own: Partial<ProgramMetadata> = {},
) {
  const device = new CountingDevice();
  const blobs = Object.entries(files).map(([path, json]) => [path, new Blob([JSON.stringify(json)])] as const);
  return { device, model: new TestModel(device, openSource(new Map(blobs), ''), { ...facts, ...own }) };
}

async function collected<T>(given: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of given) all.push(item);
  return all;
}

const bad = expect.objectContaining({ code: 'bad_input' });
const picture = { width: 1, height: 1, data: new Uint8Array(3) };

describe('prefill and decode', () => {
  test('rows end by themselves; what was read is gone then', async () => {
    const { model } = opened();
    await model.prefill({
      rows: [
        [2, 4],
        [2, 5, 3],
      ],
    });
    expect(await collected(model.decode())).toEqual([
      [3, 2],
      [2, 1],
      [1, undefined],
    ]);
    await expect(model.decode().next()).rejects.toThrow(bad);
  });

  test('every end token of the model ends a row, and those of a caller in their place', async () => {
    const { model } = opened(undefined, { stopTokenIds: [7, 3, 5] });
    const rows = [
      [2, 6],
      [2, 4],
    ];
    await model.prefill({ rows });
    expect(await collected(model.decode())).toEqual([[5, 3]]);
    await model.prefill({ rows });
    expect(await collected(model.decode({ stopTokenIds: [2, 7, 1, 1, 1, 1] }))).toEqual([
      [5, 3],
      [4, 2],
      [3, undefined],
      [2, undefined],
    ]);
  });

  test('room is 256, what was asked for, or what positions leave: the last token needs none', async () => {
    const { model, device } = opened();
    await model.prefill({ rows: [[2, 3, 4]], maxNewTokens: 5 });
    await model.prefill({ rows: [[2, 3, 4]], maxNewTokens: 5000 });
    await model.prefill({ rows: [Array<number>(10).fill(2)] });
    await model.prefill({ rows: [[2]], maxNewTokens: 0 });
    expect(device.prompts.map(({ room }) => room)).toEqual([5, 8, 1, 0]);
    expect(await collected(model.decode({ stopTokenIds: [] }))).toEqual([]);
    await model.prefill({ rows: [[6]], maxNewTokens: 4 });
    expect(await collected(model.decode({ stopTokenIds: [], maxTokens: 2 }))).toEqual([[5], [4]]);
    await model.prefill({ rows: [[6]], maxNewTokens: 4 });
    expect(await collected(model.decode({ stopTokenIds: [], maxTokens: 2 ** 40 }))).toHaveLength(4);
  });

  test('pictures go where their tokens are', async () => {
    const { model, device } = opened();
    const images = [await model.encodeImage(picture), await model.encodePixels(new Float32Array(12))];
    await model.prefill({
      rows: [
        [IMAGE, IMAGE, 2],
        [IMAGE, IMAGE, 2, 3],
      ],
      images,
    });
    expect(device.prompts[0]!.places).toEqual([
      { start: 1, count: 2, image: 0, row: 0 },
      { start: 4, count: 2, image: 1, row: 0 },
    ]);
  });
});

describe('a call that means nothing is refused, and changes nothing', () => {
  const numbers = [Number.NaN, Infinity, -3, 1.5];

  test.each([
    ...numbers.map((maxNewTokens) => ({ rows: [[2]], maxNewTokens })),
    ...[Number.NaN, -1, 1.5, 10, Infinity].map((id) => ({ rows: [[2, id]] })),
    { rows: [] },
    { rows: [[2], []] },
    { rows: [Array<number>(11).fill(2)] },
    { rows: [[IMAGE, IMAGE, 2]] },
    { rows: [[2]], images: [new Features()] },
    { rows: [[IMAGE, IMAGE, 2]], images: [Object.assign(new Features(), { isLive: false })] },
  ])('prefill %o', async (input) => {
    const { model, device } = opened();
    await model.prefill({ rows: [[2, 4]] });
    await expect(model.prefill(input)).rejects.toThrow(bad);
    expect(device.prompts).toHaveLength(1);
    expect(await collected(model.decode())).toEqual([[3], [2], [1]]);
  });

  test.each([
    ...numbers.map((maxTokens) => ({ maxTokens })),
    ...numbers.map((id) => ({ stopTokenIds: [id] })),
    { temperature: -1 },
    { topK: 0.5 },
    { topP: 2 },
    { seed: Number.NaN },
    { own: 2 },
  ])('decode %o', async (options) => {
    const { model, device } = opened();
    await model.prefill({ rows: [[2, 4]] });
    await expect(model.decode(options).next()).rejects.toThrow(bad);
    expect(device.requests).toEqual([]);
    expect(await collected(model.decode())).toEqual([[3], [2], [1]]);
  });

  test.each([
    ...numbers.map((maxNewTokens) => ({ maxNewTokens })),
    { temperature: Number.NaN },
    { stopTokenIds: [-1] },
    { own: 2 },
  ])('generate %o: before a picture is encoded', async (options) => {
    const { model, device } = opened();
    await model.prefill({ rows: [[2, 4]] });
    await expect(model.generate({ image: picture, prompt: 'a', ...options }).next()).rejects.toThrow(bad);
    expect(device.encoded).toBe(0);
    expect(await collected(model.decode())).toEqual([[3], [2], [1]]);
  });

  test.each([
    { image: Array.from({ length: 4 }, () => picture), prompt: 'a', hint: 'give 3 pictures at most' },
    { image: Array.from({ length: 17 }, () => picture), prompt: 'abcabc', hint: 'give 1 picture at most' },
    { image: picture, prompt: 'abcabca', hint: 'shorten the text: no picture fits beside it' },
    { image: picture, prompt: '<image><image>a', hint: 'say <image> once per image, or not at all' },
  ])('generate of what does not fit, $prompt: before a picture is encoded', async ({ image, prompt, hint }) => {
    const { model, device } = opened();
    await model.prefill({ rows: [[2, 4]] });
    await expect(model.generate({ image, prompt }).next()).rejects.toMatchObject({ code: 'bad_input', hint });
    expect(device.encoded).toBe(0);
    expect(await collected(model.decode())).toEqual([[3], [2], [1]]);
  });

  test('prefill says how many pictures fit', async () => {
    const { model } = opened();
    const images = [await model.encodeImage(picture)];
    const rows = [[2], [...Array<number>(8).fill(IMAGE), 2, 3, 4, 5]];
    await expect(model.prefill({ rows, images })).rejects.toMatchObject({
      problem: '12 tokens, of which 4 are text: the model has 10 positions',
      hint: 'give 3 pictures at most',
    });
  });

  test('pixels of another size, ids for text, numbers of pictures', async () => {
    const { model } = opened();
    await expect(model.encodePixels(new Float32Array(11))).rejects.toThrow(bad);
    await expect(model.decodeText([4, 77])).rejects.toThrow(bad);
    for (const images of numbers) await expect(model.promptIds('a', images)).rejects.toThrow(bad);
  });

  test('after a prefill that the device refuses nothing counts as read', async () => {
    const { model, device } = opened();
    await model.prefill({ rows: [[2, 4]] });
    device.refuses = true;
    await expect(model.prefill({ rows: [[2]] })).rejects.toThrow('no room');
    await expect(model.decode().next()).rejects.toThrow(bad);
    device.refuses = false;
    await model.prefill({ rows: [[2, 3]] });
    expect(await collected(model.decode())).toEqual([[2], [1]]);
  });
});

test('a model that computes no numbers is an error, unless the row has ended', async () => {
  const { model, device } = opened();
  const chunks = [
    [3, 1],
    [facts.vocabSize - 1, facts.vocabSize],
    [facts.vocabSize, 0],
  ];
  let ended = false;
  device.steps = async function* () {
    try {
      yield* chunks;
    } finally {
      ended = true;
    }
  };
  await model.prefill({ rows: [[2], [2]] });
  const tokens = model.decode();
  expect((await tokens.next()).value).toEqual([3, 1]);
  expect((await tokens.next()).value).toEqual([7, undefined]);
  await expect(tokens.next()).rejects.toMatchObject({ code: 'not_a_number' });
  expect(ended).toBe(true);
  await model.prefill({ rows: [[2]] });
});

describe('one call at a time', () => {
  test('a second one is refused until the first has ended, also by return()', async () => {
    const { model, device } = opened();
    let done = () => {};
    device.wait = new Promise((resolve) => (done = resolve));
    const encoding = model.encodeImage(picture);
    await new Promise((resolve) => void setTimeout(resolve));
    await expect(model.prefill({ rows: [[2]] })).rejects.toThrow(bad);
    done();
    await encoding;
    await model.prefill({ rows: [[2, 6]] });
    const decoding = model.decode();
    await decoding.next();
    for (const call of [
      () => model.prefill({ rows: [[2]] }),
      () => model.encodePixels(new Float32Array(12)),
      () => model.decode().next(),
      () => model.generate({ prompt: 'a' }).next(),
    ])
      await expect(call()).rejects.toThrow(bad);
    await decoding.return(undefined);
    await model.prefill({ rows: [[2]] });
  });

  test('a signal ends an iterator that nobody asks again, and its owner hears the reason when they do', async () => {
    const { model, device } = opened();
    let ended = 0;
    const steps = device.steps.bind(device);
    device.steps = async function* (...given) {
      try {
        yield* steps(...given);
      } finally {
        ended++;
      }
    };
    await model.prefill({ rows: [[2, 6]] });
    const stop = new AbortController();
    const left = model.decode({ signal: stop.signal });
    await left.next();
    const mine = await model.encodeImage(picture).catch(() => undefined);
    expect(mine).toBeUndefined();
    stop.abort(new Error('enough'));
    await new Promise((resolve) => void setTimeout(resolve));
    expect(ended).toBe(1);
    await model.prefill({ rows: [[2, 4]] });
    const other = model.decode();
    await other.next();
    // the turn is the other's now
    await expect(left.next()).rejects.toThrow('enough');
    await expect(model.prefill({ rows: [[2]] })).rejects.toThrow(bad);
    expect(await collected(other)).toEqual([[2], [1]]);
    await model.prefill({ rows: [[2]] });
  });

  test('an iterator that was dropped ends when it is collected', async () => {
    const { model, device } = opened();
    const made: Features[] = [];
    const encode = device.encode.bind(device);
    device.encode = async () => (made.push(await encode()), made.at(-1)!);
    const answer = async () => {
      const dropped = model.generate({ image: picture, prompt: 'c' });
      await dropped.next();
      await expect(model.generate({ prompt: 'a' }).next()).rejects.toThrow(bad);
    };
    await answer();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await vi.waitFor(
      async () => {
        collect();
        await model.prefill({ rows: [[2, 3]] });
      },
      { timeout: 60_000 },
    );
    expect(await collected(model.decode())).toEqual([[2], [1]]);
    expect(made.map(({ isLive }) => isLive)).toEqual([false]);
  });

  test('a picture lies in one row, whole', async () => {
    const { model } = opened();
    const images = [await model.encodeImage(picture), await model.encodeImage(picture)];
    // two image tokens a picture: as many as there are features for, but not each in its row
    const rows = [
      [9, 9, 9, 2],
      [9, 2],
    ];
    await expect(model.prefill({ rows, images })).rejects.toMatchObject({
      code: 'bad_input',
      problem: 'row 0 has a part of a picture',
    });
  });

  test('masks are decoded some at a time, and told apart', async () => {
    const { model, device } = opened(undefined, { maskSize: 2 });
    const codes = (first: number) => Array.from({ length: 16 }, (_, i) => (first + i) % 128);
    const masks = await model.decodeMasks(Array.from({ length: 18 }, (_, i) => codes(i)));
    expect(device.masked.map((some) => some.length / 16)).toEqual([16, 2]);
    expect(device.masked[1]).toEqual([...codes(16), ...codes(17)]);
    expect(masks).toHaveLength(18);
    expect(masks.slice(-2).map((mask) => [...mask])).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
    expect(await model.decodeMasks([])).toEqual([]);
    for (const wrong of [codes(0).slice(1), codes(0).with(3, 128), codes(0).with(3, -1), codes(0).with(3, 0.5)])
      await expect(model.decodeMasks([wrong])).rejects.toMatchObject({ code: 'bad_input' });
    const odd = [null, codes(0), [undefined], ['0123456789012345'], [{ length: 16 }], [new Array(16)]] as never[];
    for (const wrong of odd) await expect(model.decodeMasks(wrong)).rejects.toMatchObject({ code: 'bad_input' });
    expect(device.masked).toHaveLength(2);
    expect(await model.decodeMasks([Int32Array.from(codes(3)), Uint8Array.from(codes(4))])).toHaveLength(2);
    expect(device.masked.at(-1)).toEqual([...codes(3), ...codes(4)]);
    await expect(opened().model.decodeMasks([codes(0)])).rejects.toMatchObject({
      code: 'bad_input',
      hint: expect.stringContaining('--mask-decoder') as string,
    });
  });

  test('generate is one call: none may come between its parts', async () => {
    const { model } = opened();
    const first = model.generate({ image: picture, prompt: 'c', maxNewTokens: 3, stopTokenIds: [] });
    const second = model.generate({ prompt: 'a' });
    const [one, other] = await Promise.allSettled([first.next(), second.next()]);
    expect([one.status, other]).toMatchObject(['fulfilled', { reason: { code: 'bad_input' } }]);
    await first.return(undefined);
    expect((await collected(model.generate({ prompt: 'c' }))).join('')).toBe('cba');
  });

  test('another device has read nothing, and does not wait for the one before', async () => {
    const { model } = opened();
    await model.prefill({ rows: [[2, 6]] });
    const decoding = model.decode();
    await decoding.next();
    model.use(new CountingDevice());
    await expect(model.decode().next()).rejects.toThrow(bad);
    await model.prefill({ rows: [[2, 3]] });
    const other = model.decode();
    await other.next();
    await decoding.return(undefined);
    await expect(model.prefill({ rows: [[2]] })).rejects.toThrow(bad);
  });
});

describe('generate', () => {
  test('pieces of text; its own features are given back, those of the caller are not', async () => {
    const { model, device } = opened();
    const mine = await model.encodeImage(picture);
    const made: Features[] = [];
    const encode = device.encode.bind(device);
    device.encode = async () => (made.push(await encode()), made.at(-1)!);
    expect(await collected(model.generate({ image: [mine, picture], prompt: 'b' }))).toEqual(['c', 'b', 'a']);
    expect([mine.isLive, made.map(({ isLive }) => isLive)]).toEqual([true, [false]]);
    expect([...device.prompts[0]!.inputIds]).toEqual([IMAGE, IMAGE, IMAGE, IMAGE, 2, 5, 7]);
    expect(device.prompts[0]!.room).toBe(4);
  });

  test('an abort between pictures frees those that were encoded', async () => {
    const { model, device } = opened();
    const stop = new AbortController();
    const made: Features[] = [];
    const encode = device.encode.bind(device);
    device.encode = async () => {
      stop.abort(new Error('enough'));
      return (made.push(await encode()), made.at(-1)!);
    };
    const answer = model.generate({ image: [picture, picture], prompt: 'b', signal: stop.signal });
    await expect(answer.next()).rejects.toThrow('enough');
    expect(made.map(({ isLive }) => isLive)).toEqual([false]);
  });

  test('a bundle without a tokenizer', async () => {
    const { model } = opened({});
    await expect(model.generate({ prompt: 'a' }).next()).rejects.toMatchObject({
      code: 'not_found',
      hint: expect.stringContaining('--tokenizer'),
    });
    await model.prefill({ rows: [[2, 3]] });
    expect(await collected(model.decode())).toEqual([[2], [1]]);
  });
});

describe('options of generate', () => {
  const all = async (options: object) =>
    (await collected(opened().model.generate({ prompt: '-', ...options }))).join('');

  test('the answer ends before a stop string, also where it comes in parts', async () => {
    const whole = await all({ stopTokenIds: [] });
    expect(whole.length).toBeGreaterThan(2);
    expect(await all({ stopTokenIds: [], stopStrings: [whole.slice(1, 3)] })).toBe(whole.slice(0, 1));
    expect(await all({ stopTokenIds: [], stopStrings: ['no such text'] })).toBe(whole);
  });

  test.each([
    [{ temprature: 1 }, 'an option temprature'],
    [{ maxTokens: 3 }, 'an option maxTokens'],
    [{ prompt: undefined }, 'a prompt that is undefined'],
    [{ prompt: null }, 'a prompt that is null'],
    [{ prompt: 3 }, 'a prompt that is number'],
    [{ stopStrings: [''] }, 'stopStrings'],
    [{ temperature: -1 }, 'a temperature of -1'],
    [{ minP: 2 }, 'min-p of 2'],
  ])('%o is refused by name, and nothing is computed', async (options, message) => {
    const { device, model } = opened();
    const given = { prompt: '-', ...options } as unknown as { prompt: string };
    await expect(collected(model.generate(given))).rejects.toThrow(
      expect.objectContaining({ code: 'bad_input', message: expect.stringContaining(message) }),
    );
    expect([device.encoded, device.prompts.length]).toEqual([0, 0]);
  });

  test('decode refuses an unknown one too, and goes on from what was read', async () => {
    const { model } = opened();
    await model.prefill({ rows: [[2, 5]] });
    await expect(collected(model.decode({ stopStrings: ['a'] } as object))).rejects.toThrow('an option stopStrings');
    expect((await collected(model.decode({ maxTokens: 1, own: 1 }))).length).toBe(1);
  });
});
