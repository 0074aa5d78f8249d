import { expect, test } from 'vitest';
import { untilStopped, type DecodeLimits } from './decode.ts';

/** Chunks, and whether they were ended; `next` says what the generator was asked for. */
function chunksOf(chunks: readonly (readonly number[])[]) {
  const state = { asked: 0, ended: false };
  async function* give() {
    try {
      for (const chunk of chunks) {
        state.asked++;
        yield chunk;
      }
    } finally {
      state.ended = true;
    }
  }
  return { chunks: give(), state };
}

async function all(chunks: readonly (readonly number[])[], limits: Partial<DecodeLimits> = {}) {
  const { chunks: given, state } = chunksOf(chunks);
  const steps: unknown[] = [];
  for await (const step of untilStopped(given, { rows: 2, steps: 9, stops: [1], ...limits })) steps.push(step);
  return { steps, state };
}

test('each row ends by itself, with its stop token, and all with the last: in the middle of a chunk', async () => {
  expect(
    await all([
      [5, 1, 6, 7],
      [1, 8, 9, 9],
      [9, 9],
    ]),
  ).toEqual({
    steps: [
      [5, 1],
      [6, undefined],
      [1, undefined],
    ],
    state: { asked: 2, ended: true },
  });
});

test('after so many steps, also where chunks have more or end before', async () => {
  expect((await all([[5, 5, 6, 6, 7, 7]], { steps: 2 })).steps).toEqual([
    [5, 5],
    [6, 6],
  ]);
  expect((await all([[5, 5]])).steps).toEqual([[5, 5]]);
  expect(await all([[5, 5]], { steps: 0 })).toEqual({ steps: [], state: { asked: 0, ended: false } });
});

test('chunks are ended by whoever stops listening, and by an abort, whose reason is thrown', async () => {
  const left = chunksOf([
    [5, 5],
    [6, 6],
  ]);
  for await (const _ of untilStopped(left.chunks, { rows: 2, steps: 9, stops: [] })) break;
  expect(left.state).toEqual({ asked: 1, ended: true });
  const aborted = chunksOf([
    [5, 5, 6, 6],
    [7, 7],
  ]);
  const stop = new AbortController();
  const steps: unknown[] = [];
  const listening = async () => {
    for await (const step of untilStopped(aborted.chunks, { rows: 2, steps: 9, stops: [], signal: stop.signal })) {
      steps.push(step);
      stop.abort(new Error('enough'));
    }
  };
  await expect(listening()).rejects.toThrow('enough');
  expect([steps, aborted.state]).toEqual([[[5, 5]], { asked: 1, ended: true }]);
});
