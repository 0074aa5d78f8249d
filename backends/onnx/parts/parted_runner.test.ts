import { describe, expect, it } from 'vitest';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import type { Runner } from '../../backend.ts';
import { tinyProgram } from '../../testing/tiny_program.ts';
import { open } from '../run.ts';
import { emittedBundle } from '../testing/emitted_bundle.ts';
import { decoderInputs, expectSame, F16, F32, fp16 } from '../testing/tiny_decoder.ts';

/** So little that a bundle of kilobytes is cut. */
const LITTLE = 16 * 1024;

const program = tinyProgram();
const reference = evaluatorRunner(program);

describe('a bundle that does not fit', () => {
  it('runs in parts, and says so; one that fits does not', async () => {
    await using bundle = await emittedBundle(program);
    const [parted, whole] = [await open(bundle.dir, { memory: LITTLE }), await open(bundle.dir, { memory: 1e9 })];
    expect([parted.inParts, whole.inParts]).toEqual([true, undefined]);
    expect(parted.description).toMatch(/in parts$/);
    expect(await parted.inputDtypes('decoder')).toEqual(await whole.inputDtypes('decoder'));
  });

  it.each([
    [2, 5, 0, 0],
    [1, 1, 7, 1],
    [3, 3, 4, 2],
  ])('gives what the whole gives: %d rows of %d tokens behind %d', async (batch, seq, past, keep) => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir, { memory: LITTLE });
    await expectSame(runner, reference, 'decoder', decoderInputs(batch, seq, past, keep), F32);
  });

  it('in f16 too, and pictures and ids', async () => {
    const narrow = fp16(program);
    await using bundle = await emittedBundle(narrow, 'fp16');
    const runner = await open(bundle.dir, { memory: LITTLE });
    await expectSame(runner, evaluatorRunner(narrow), 'decoder', decoderInputs(2, 3, 2, 0, 'f16'), F16);
    await using plain = await emittedBundle(program);
    const parted = await open(plain.dir, { memory: LITTLE });
    const pixels = { pixel_values: randomTensor('f32', [3, 3, 8, 8], 1) };
    await expectSame(parted, reference, 'vision_encoder', pixels, F32);
    await expectSame(
      parted,
      reference,
      'embed_tokens',
      { input_ids: tensorOf('i64', [2, 3], [0, 23, 5, 5, 1, 2]) },
      F32,
    );
  });

  it('takes a cache that an earlier run gives in the same parts', async () => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir, { memory: LITTLE });
    const [first, second] = [decoderInputs(1, 4, 0, 0), decoderInputs(1, 1, 4, 1)];
    const caches = Object.keys(second).filter((name) => name.startsWith('past'));
    const linked = {
      ...second,
      ...Object.fromEntries(
        caches.map((name) => [name, { run: 0, output: name.replace('past_key_values', 'present') }]),
      ),
    };
    const expected = await reference.runTogether('decoder', [{ inputs: first }, { inputs: linked }]);
    const progress: string[] = [];
    const actual = await runner.runTogether!('decoder', [{ inputs: first }, { inputs: linked }], {
      onProgress: (done, total) => progress.push(`${done} of ${total}`),
    });
    for (const [i, results] of expected.entries())
      for (const [name, tensor] of Object.entries(results)) expectNear(actual[i]![name]!, tensor);
    expect(progress.length).toBeGreaterThan(1);
    expect(progress.at(-1)).toBe(`${progress.length} of ${progress.length}`);
    const asked = await runner.runTogether!(
      'decoder',
      [first, linked].map((inputs) => ({ inputs, outputs: ['logits'] })),
    );
    expect(asked).toEqual(actual.map(({ logits }) => ({ logits })));
  });

  it('computes each part on what another gave for the stage before', async () => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir, { memory: 100_000 });
    const { stages } = program.graphs.find(({ name }) => name === 'decoder')!;
    const names = stages.map(({ name }) => name);
    const inputs = decoderInputs(1, 4, 0, 0);
    const given = await reference.run('decoder', inputs, { stages: names });
    const doubled = Object.fromEntries(
      names.map((name) => [name, { ...given[name]!, data: given[name]!.data.map((x) => 2 * x) }]),
    );
    const heard = new Map<string, Tensor>();
    const runs = async (values: Readonly<Record<string, Tensor>>) => {
      heard.clear();
      await runner.runTogether!('decoder', [{ inputs, stages: names, given: values }], {
        onGiven: (_, name, value) => heard.set(name, value),
      });
      return new Map(heard);
    };
    const [same, other] = [await runs(given), await runs(doubled)];
    expect(same.size).toBeGreaterThan(0);
    for (const [name, value] of same) expectNear(value, given[name]!);
    expect([...other].some(([name, { data }]) => data.some((x, i) => Math.abs(x - given[name]!.data[i]!) > 0.1))).toBe(
      true,
    );
  });

  it('says which input is missing, and that an earlier run is none', async () => {
    await using bundle = await emittedBundle(program);
    const runner: Runner = await open(bundle.dir, { memory: LITTLE });
    await expect(runner.run('decoder', {})).rejects.toMatchObject({ code: 'bad-input' });
    const inputs = { ...decoderInputs(1, 1, 2, 1), 'past_key_values.0.key': { run: 0, output: 'present.0.key' } };
    await expect(runner.runTogether!('decoder', [{ inputs }])).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('present.0.key'),
    });
  });

  it('stops between two parts when it is told', async () => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir, { memory: LITTLE });
    const stop = new AbortController();
    const run = runner.runTogether!('decoder', [{ inputs: decoderInputs(1, 1, 0, 0) }], {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough')),
    });
    await expect(run).rejects.toThrow('enough');
  });
});

function expectNear(actual: Tensor, expected: Tensor): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(Math.max(0, ...actual.data.map((x, i) => Math.abs(x - expected.data[i]!)))).toBeLessThan(1e-4);
}
