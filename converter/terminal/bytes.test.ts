import { expect, test } from 'vitest';
import { withBytes } from './bytes.ts';
import { withForecast } from './forecast.ts';
import { lineReporter } from './lines.ts';

test('reading is a stage of as many bytes as there are', async () => {
  const lines: string[] = [];
  const result = await withBytes(
    lineReporter(
      (line) => lines.push(line),
      () => 0,
    ),
    'hash the checkpoint',
    async ({ onTotal, onRead }) => {
      onTotal(3000);
      onRead(1000);
      onRead(2000);
      return 'hashed';
    },
  );
  expect([result, lines]).toEqual(['hashed', ['hash the checkpoint: 3.00 kB in 0 s']]);
});

test('a verification says what is at work, and how long all of it will take', async () => {
  const lines: string[] = [];
  let now = 0;
  const reporter = lineReporter(
    (line) => lines.push(line),
    () => now,
  );
  await withForecast(reporter, 'verify', async (onProgress) => {
    onProgress({ done: 0, total: 800, label: 'a: reference' });
    now = 6000;
    onProgress({ done: 100, total: 800, label: 'a: candidate', secondsLeft: 125 });
  });
  expect(lines[0]).toBe('verify: 12 %, 2 min 05 s left (a: candidate)');
  expect(lines[1]).toMatch(/^verify: in \d+ s$/);
});
