import { describe, expect, test } from 'vitest';
import type { Runner } from '../backends/backend.ts';
import { isEarlier, type GraphRun } from '../ir/graph_run.ts';
import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { Calls, callsOf } from './calls.ts';

const number = (value: number): Tensor => tensorOf('f32', [], [value]);
const valueOf = (results: Readonly<Record<string, Tensor>>) => results['y']!.data[0]!;

/** Every graph adds 1 to x; runs of several at once are told apart. */
function adding(together: boolean): { readonly runner: Runner; readonly heard: string[] } {
  const heard: string[] = [];
  const one = (x: Tensor) => ({ y: number(x.data[0]! + 1) });
  const runner: Runner = {
    description: 'adds 1',
    inputDtypes: async () => ({}),
    run: async (graph, { x }) => {
      heard.push(graph);
      return one(x!);
    },
    dispose: async () => {},
    ...(together && {
      runTogether: async (graph: string, runs: readonly GraphRun[]) => {
        heard.push(`${graph} × ${runs.length}`);
        const results: Record<string, Tensor>[] = [];
        for (const { inputs } of runs) {
          const x = inputs['x']!;
          results.push(one(isEarlier(x) ? results[x.run]![x.output]! : x));
        }
        return results;
      },
    }),
  };
  return { runner, heard };
}

/** Reads a picture and a word, and then decodes twice, the second behind the first. */
async function task(calls: Calls, start: number): Promise<number> {
  const picture = valueOf(await calls.plan('vision_encoder', { x: number(start) }).results);
  const word = valueOf(await calls.plan('embed_tokens', { x: number(picture) }).results);
  const first = calls.plan('decoder', { x: number(word) });
  const next = calls.plan('decoder', { x: { call: first, output: 'y' } });
  return valueOf(await next.results);
}

describe.each([
  ['at once', true],
  ['one by one', false],
] as const)('%s', (_, together) => {
  test('tasks side by side get what each would alone', async () => {
    const calls = new Calls(adding(together).runner);
    expect(await Promise.all([task(calls, 0), task(calls, 10), task(calls, 20)])).toEqual([4, 14, 24]);
  });

  test('a run that fails fails those that take what it gives, and no other', async () => {
    const { runner } = adding(false);
    const failing: Runner = {
      ...runner,
      run: async (graph, inputs) => {
        if (inputs['x']!.data[0] === 7) throw new Error('seven');
        return runner.run(graph, inputs);
      },
    };
    const calls = new Calls(failing);
    const bad = calls.plan('decoder', { x: number(7) });
    const behind = calls.plan('decoder', { x: { call: bad, output: 'y' } });
    const good = calls.plan('decoder', { x: number(1) });
    await expect(bad.results).rejects.toThrow('seven');
    await expect(behind.results).rejects.toThrow('seven');
    expect(valueOf(await good.results)).toBe(2);
  });
});

test('graphs that feed others come first, and a graph is run for all who ask', async () => {
  const { runner, heard } = adding(true);
  const calls = new Calls(runner);
  const textOnly = async () => {
    const word = valueOf(await calls.plan('embed_tokens', { x: number(0) }).results);
    return valueOf(await calls.plan('decoder', { x: number(word) }).results);
  };
  await Promise.all([task(calls, 0), textOnly(), task(calls, 10)]);
  expect(heard).toEqual(['vision_encoder × 2', 'embed_tokens × 3', 'decoder × 5']);
});

test('what two ask alike is computed once', async () => {
  const { runner, heard } = adding(true);
  const calls = new Calls(runner);
  expect(await Promise.all([task(calls, 5), task(calls, 5)])).toEqual([9, 9]);
  expect(heard).toEqual(['vision_encoder × 1', 'embed_tokens × 1', 'decoder × 2']);
});

test('an output that a run does not give is an error that names it', async () => {
  const calls = new Calls(adding(false).runner);
  const call = calls.plan('decoder', { x: number(0) });
  await expect(calls.plan('decoder', { x: { call, output: 'z' } }).results).rejects.toMatchObject({
    code: 'bad_output',
    message: expect.stringContaining('"z"'),
  });
});

test('a signal stops what is planned, with its reason', async () => {
  const calls = new Calls(adding(false).runner);
  calls.listen({ signal: AbortSignal.abort(new Error('enough')) });
  await expect(calls.plan('decoder', { x: number(0) }).results).rejects.toThrow('enough');
});

test('a runner has one list of calls', () => {
  const { runner } = adding(false);
  expect(callsOf(runner)).toBe(callsOf(runner));
  expect(callsOf(runner)).not.toBe(callsOf(adding(false).runner));
});
