import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Beat } from './beats.js';
import { startHeartbeat, type Heartbeat } from './heartbeat.ts';
import { lineReporter } from './lines.ts';
import { withHeartbeat } from './with_heartbeat.ts';

/** The thread computes and hears nothing. */
const block = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** What a heartbeat writes while `work` runs. */
async function written(isTerminal: boolean, work: (heartbeat: Heartbeat) => void): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'pgconv-heartbeat-'));
  const path = join(dir, 'log');
  const file = openSync(path, 'w');
  const heartbeat = startHeartbeat({ isTerminal, file, silence: 50, look: 10 });
  try {
    await expect.poll(() => readFileSync(path, 'utf8'), { timeout: 20_000 }).not.toBe('');
    const before = readFileSync(path, 'utf8').length;
    work(heartbeat);
    return readFileSync(path, 'utf8').slice(before);
  } finally {
    heartbeat.close();
    closeSync(file);
    rmSync(dir, { recursive: true });
  }
}

test('it speaks of the open stage while the thread of the process is busy', async () => {
  const text = await written(false, (heartbeat) => {
    const reporter = withHeartbeat(
      lineReporter(() => {}),
      heartbeat,
    );
    const stage = reporter.stage('open the\u0007 decoder', { unit: 'steps', total: 5 });
    stage.advance(2, { text: 'a session' });
    block(2000);
    expect(stage).toBeDefined();
  });
  expect(text).toMatch(/^open the\S+ decoder: 2 of 5 \(a session\); still working, for \d s\n/m);
  expect(text).not.toContain('\u0007');
});

test('on a terminal its line takes the place of the last, and the next begins there', async () => {
  const text = await written(true, () => block(1000));
  // oxlint-disable-next-line no-control-regex -- what moves the cursor is what is looked for
  expect(text).toMatch(/^(?:\r\u001b\[2Kstill working, for \d+ s\r)+$/);
});

test('a reporter tells it what is opened, how far it is, and what is closed', () => {
  const beats: Beat[] = [];
  let [now, closed] = [0, 0];
  const heartbeat: Heartbeat = { tell: (beat) => beats.push(beat), close: () => closed++ };
  const lines: string[] = [];
  const reporter = withHeartbeat(
    lineReporter((line) => lines.push(line)),
    heartbeat,
    () => now,
  );
  const stage = reporter.stage('verify', { unit: 'work', total: 100 });
  now = 3000;
  stage.advance(25, { text: 'one long row: reference', secondsLeft: 9 });
  stage.done('over');
  reporter.close();
  expect(beats).toEqual([
    { kind: 'opened', id: 0, label: 'verify', at: 0 },
    { kind: 'advanced', id: 0, text: '25 % (one long row: reference)' },
    { kind: 'closed', id: 0, at: 3000 },
  ]);
  expect([lines, closed]).toEqual([['over'], 1]);
});
