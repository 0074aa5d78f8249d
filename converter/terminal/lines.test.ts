import { expect, test } from 'vitest';
import { lineReporter } from './lines.ts';

test('a stage speaks every five seconds and when it is over', () => {
  const lines: string[] = [];
  let time = 0;
  const reporter = lineReporter(
    (line) => lines.push(line),
    () => time,
  );
  const stage = reporter.stage('write', { unit: 'bytes', total: 4000 });
  stage.advance(1000);
  time = 6000;
  stage.advance(1000);
  stage.advance(1000);
  time = 8000;
  stage.advance(1000);
  stage.done();
  reporter.warn('careful');
  expect(lines).toEqual(['write: 2.00 kB of 4.00 kB, 333 B/s, 6 s left', 'write: 4.00 kB in 8 s', 'warning: careful']);
});
