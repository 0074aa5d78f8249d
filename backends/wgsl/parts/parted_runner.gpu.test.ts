import { describe, expect } from 'vitest';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import { graphNamed } from '../../../ir/graph.ts';
import type { Earlier } from '../../../ir/graph_run.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { expectClose, type Tolerance } from '../../testing/compare.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { decoderInputs, type DecoderCall } from '../testing/decoder_inputs.ts';
import { memoryBundle, memoryRunner } from '../testing/memory_runner.ts';
import { GEMMA_2, tinyGemma } from '../testing/tiny_gemma.ts';
import { PartedRunner } from './parted_runner.ts';

/** So small that a decoder of half a megabyte is cut within layers and behind them. */
const SHARD = 96 * 1024;
const PART = 200 * 1024;
/** Of a layer and what shares its shards. */
const A_LAYER = 400 * 1024;

/** f32 sums in another order; activations are of the order of 1. */
const CLOSE: Tolerance = { absolute: 5e-6, relative: 5e-6 };

const program = tinyGemma(GEMMA_2);
const decoder = graphNamed(program, 'decoder');
const stages = decoder.stages.map(({ name }) => name);
const call = (rest: Partial<DecoderCall>) =>
  decoderInputs(decoder, { batch: 2, seq: 1, padding: 2, keep: 1, seed: 1, ...rest });

/** A cache of so many positions, for the shapes of what stands in its place. */
const sized = (past: number) => ({ 'present.0.key': tensorOf('f32', [2, 2, past, 32], new Float32Array(128 * past)) });

const scaled = ({ dtype, shape, data }: Tensor, factor: number) =>
  tensorOf(
    dtype,
    shape,
    Array.from(data, (x) => x * factor),
  );

const differs = (a: Tensor, b: Tensor) => a.data.some((x, i) => Math.abs(x - b.data[i]!) > 1e-3);

function parted(maxBytes = PART) {
  const { plan, open } = memoryBundle(program, { shardBytes: SHARD });
  const opened: number[] = [];
  const runner = new PartedRunner({
    plan,
    async openPart(part) {
      const executor = await open(part);
      opened.push(executor.counters.uploadedBytes);
      return { executor, dispose: () => executor.dispose() };
    },
    maxBytes,
    description: 'the test device',
  });
  return { runner, opened };
}

describe('a plan of which the device holds a part at a time', () => {
  itOnGpu('computes what the whole computes, to the bit: prompt, token, piece, stages', async () => {
    const whole = await memoryRunner(program, { shardBytes: SHARD });
    const { runner, opened } = parted();
    expect(runner.description).toBe('the test device, in parts');
    expect(await runner.inputDtypes('decoder')).toEqual(await whole.inputDtypes('decoder'));
    let before: Readonly<Record<string, Tensor>> | undefined;
    for (const rest of [{ seq: 5 }, {}, { seq: 3, keep: 0 }]) {
      const inputs = call({ ...rest, ...(before && { before }) });
      const expected = await whole.run('decoder', inputs, { stages });
      expect(await runner.run('decoder', inputs, { stages })).toEqual(expected);
      before = expected;
    }
    expect(opened.length).toBeGreaterThan(9);
    expect(Math.max(...opened)).toBeLessThanOrEqual(PART);
    await whole.dispose();
  });

  itOnGpu('takes the caches of earlier runs, of whichever phase, and reads no weight again for them', async () => {
    const { runner, opened } = parted();
    const inputs = call({ seq: 5 });
    const caches = Object.keys(inputs).filter((name) => name.startsWith('past'));
    const behind = (run: number, seq: number, past: number): Record<string, Tensor | Earlier> => ({
      ...call({ seq, seed: run + 2, keep: 0, before: sized(past) }),
      ...Object.fromEntries(caches.map((name) => [name, { run, output: name.replace('past_key_values', 'present') }])),
    });
    // a token, a piece behind it, and a piece behind the prompt: two phases by turns
    const runs = [{ inputs }, { inputs: behind(0, 1, 5) }, { inputs: behind(1, 3, 6) }, { inputs: behind(0, 2, 5) }];
    const expected = await evaluatorRunner(program).runTogether('decoder', runs);
    const actual = await runner.runTogether('decoder', runs);
    for (const [i, results] of expected.entries())
      for (const [name, tensor] of Object.entries(results))
        expectClose(`run ${i} ${name}`, actual[i]![name], tensor, CLOSE);
    const once = parted();
    await once.runner.run('decoder', inputs);
    expect(opened.length).toBe(3 * once.opened.length);
    const asked = await runner.runTogether(
      'decoder',
      runs.map((run) => ({ ...run, outputs: ['logits'] })),
    );
    expect(asked).toEqual(actual.map(({ logits }) => ({ logits })));
  });

  itOnGpu('computes each part on what another gave for the stage before', async () => {
    const { runner } = parted(A_LAYER);
    const inputs = call({ seq: 5 });
    const given = await evaluatorRunner(program).run('decoder', inputs, { stages });
    const heard = new Map<string, Tensor>();
    const progress: string[] = [];
    await runner.runTogether('decoder', [{ inputs, stages, given }], {
      onGiven: (_, name, value) => void heard.set(name, value),
      onProgress: (done, total) => void progress.push(`${done} of ${total}`),
    });
    expect(heard.size).toBeGreaterThan(1);
    for (const [name, value] of heard) expectClose(name, value, given[name]!, CLOSE);
    expect(progress.at(-1)).toBe(`${progress.length} of ${progress.length}`);
    // another's stage that is twice as large makes another part's result, and nothing else
    const doubled = { ...given, 'lm.1': scaled(given['lm.1']!, 2) };
    const other = new Map<string, Tensor>();
    const [results] = await runner.runTogether('decoder', [{ inputs, stages, given: doubled }], {
      onGiven: (_, name, value) => void other.set(name, value),
    });
    expect([...other].filter(([name, value]) => differs(value, heard.get(name)!)).length).toBeGreaterThan(0);
    for (const name of Object.keys(results!)) expectClose(name, results![name], given[name]!, CLOSE);
  });
});
