import { expect, test } from 'vitest';
import { syntheticCases } from './cases.ts';
import { Forecast, type Phase, type Progress } from './forecast.ts';
import { countingMetadata } from './testing/counting_runner.ts';

const [first, second] = syntheticCases(countingMetadata);
const cases = [first!, second!];

/** The first case costs 100, the second 300, a quarter of each in the image tower. */
function forecast(phases: readonly (Phase | readonly Phase[])[]) {
  const clock = { ms: 0 };
  const told: Progress[] = [];
  const made = new Forecast(
    (each) => (each === first ? { vision: 25, decoder: 75 } : { vision: 75, decoder: 225 }),
    () => clock.ms,
  );
  made.plan(
    phases.map((phase) => [phase].flat()),
    (progress) => told.push(progress),
  );
  /** From here until `ms`, evenly from one share of the decoder to another. */
  const compute = (side: 'reference' | 'original' | 'candidate', ms: number, from: number, to: number) => {
    const began = clock.ms;
    for (let i = 1; i <= 10; i++) {
      clock.ms = began + ((ms - began) * i) / 10;
      made.share(side, 'decoder', from + ((to - from) * i) / 10);
    }
  };
  return { made, clock, compute, told, last: () => told.at(-1)! };
}

test('time left is of the whole, by the rate of each side, once that is known', () => {
  const { made, clock, compute, last } = forecast([
    { side: 'reference', cases },
    { side: 'candidate', cases, times: (each) => (each === first ? 4 : 1) },
    { side: 'original', cases },
    { side: 'candidate', cases },
  ]);
  made.begin();
  expect(last()).toEqual({ done: 0, total: 400 + 700 + 400 + 400, label: 'reference' });
  // a tenth of a second each; the original computes as the reference does, and nobody knows the runtime
  compute('reference', 15_000, 0, 0.5);
  expect(last()).toMatchObject({ done: 150, label: 'reference, decoder', isLeast: true });
  expect(last().secondsLeft).toBeCloseTo(25 + 40);
  clock.ms = 40_000;
  made.begin();
  expect(last()).toMatchObject({ done: 400, label: 'candidate', isLeast: true });
  expect(last().secondsLeft).toBeCloseTo(40);
  // a hundredth of a second each
  compute('candidate', 43_500, 0, 350 / 525);
  expect(last()).toMatchObject({ done: 750 });
  expect(last().secondsLeft).toBeCloseTo(3.5 + 40 + 4);
  expect(last().isLeast).toBeUndefined();
  clock.ms = 47_000;
  made.begin();
  clock.ms = 47_500;
  made.share('original', 'decoder', 0.1);
  // too early for a rate of its own
  expect(last().secondsLeft).toBeCloseTo(37 + 4);
  made.share('original', 'decoder', 0);
  expect(last().done).toBe(400 + 700 + 30);
  made.begin();
  expect(last().secondsLeft).toBeCloseTo(4);
  made.end();
  expect(last()).toMatchObject({ done: 1900, secondsLeft: 0 });
});

test('a runtime that compiles before it computes has no rate, whatever its first work would say', () => {
  const { made, clock, told } = forecast([
    { side: 'reference', cases },
    { side: 'candidate', cases, times: () => 4, atFirst: 'which compiles' },
    { side: 'candidate', cases },
  ]);
  made.begin();
  clock.ms = 40; // computed by vectors, in no time
  made.begin();
  expect(told.at(-1)).toEqual({ done: 400, total: 2400, label: 'candidate, which compiles' });
  // shaders compile for half a minute, and everything is over in a moment
  clock.ms = 30_000;
  for (const each of cases) {
    made.over('candidate', each);
    clock.ms += 50;
  }
  clock.ms = 30_200;
  made.begin();
  clock.ms = 30_300;
  made.over('candidate', first!);
  made.end();
  expect(told.slice(0, -1).filter(({ secondsLeft }) => secondsLeft !== undefined)).toEqual([]);
});

test('a rate that is not even is none, and one of a moment neither', () => {
  const { made, clock, compute, last } = forecast([{ side: 'candidate', cases, atFirst: 'which compiles' }]);
  made.begin();
  compute('candidate', 1500, 0, 0.1);
  expect(last().secondsLeft).toBeUndefined();
  compute('candidate', 20_000, 0.1, 0.15);
  expect(last()).toMatchObject({ label: 'candidate, decoder, which compiles' });
  expect(last().secondsLeft).toBeUndefined();
  compute('candidate', 60_000, 0.15, 0.35);
  expect(last()).toMatchObject({ label: 'candidate, decoder' });
  expect(last().secondsLeft).toBeGreaterThan(100);
  // nothing for as long again: it is stuck, or what it tells is not what it does
  clock.ms = 200_000;
  made.share('candidate', 'decoder', 0.351);
  expect(last().secondsLeft).toBeUndefined();
});

test('no phase has more work than it has, whoever counts it', () => {
  const { made, last } = forecast([{ side: 'reference', cases }]);
  made.begin();
  for (const each of [...cases, ...cases]) made.over('reference', each);
  made.share('reference', 'vision', 1);
  expect(last()).toMatchObject({ done: 400, total: 400, secondsLeft: 0 });
});

test('two sides that go on at once share the time by their work', () => {
  const { made, clock, compute, last } = forecast([
    [
      { side: 'original', cases: [first!] },
      { side: 'reference', cases },
    ],
    { side: 'reference', cases: [first!] },
  ]);
  made.begin();
  expect(last()).toMatchObject({ done: 0, total: 600, label: 'original and reference' });
  compute('reference', 15_000, 0, 0.5);
  expect(last()).toMatchObject({ done: 150, label: 'reference, decoder' });
  expect(last().secondsLeft).toBeCloseTo(45);
  made.over('original', first!);
  made.over('candidate', first!); // not under way
  expect(last().done).toBe(250);
  clock.ms = 50_000;
  made.begin();
  expect(last()).toMatchObject({ done: 500 });
  expect(last().secondsLeft).toBeCloseTo(10);
});
