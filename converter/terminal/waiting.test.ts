import { expect, test } from 'vitest';
import { lineReporter } from './lines.ts';
import { withWait } from './waiting.ts';

test('what is waited for is a stage, over whatever becomes of it', async () => {
  const lines: string[] = [];
  let now = 0;
  const reporter = lineReporter(
    (line) => lines.push(line),
    () => now,
  );
  expect(await withWait(reporter, 'quick', async () => 1)).toBe(1);
  await withWait(reporter, 'slow', async () => void (now = 9000));
  const failing = withWait(reporter, 'in vain', async () => {
    now = 29_000;
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(lines).toEqual(['slow: in 9 s', 'in vain: in 20 s']);
});
