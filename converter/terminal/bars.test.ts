import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { barReporter } from './bars.ts';

/** A terminal of 80 columns, and what it was told. */
function terminal(): { readonly stream: NodeJS.WriteStream; readonly text: () => string } {
  const pieces: string[] = [];
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 });
  stream.on('data', (chunk: Buffer) => pieces.push(chunk.toString()));
  return {
    stream: stream as unknown as NodeJS.WriteStream,
    // oxlint-disable-next-line no-control-regex -- what moves the cursor is not for the eye
    text: () => pieces.join('').replaceAll(/\u001b\[[\d;?]*[a-zA-Z]/g, ''),
  };
}

const drawn = () => new Promise((resolve) => setTimeout(resolve, 250));

test('a bar says how much is done, and a line what was, with its name escaped', async () => {
  const { stream, text } = terminal();
  const reporter = barReporter(stream);
  const stage = reporter.stage('write \u0007x', { unit: 'steps', total: 100 });
  stage.advance(20);
  stage.advance(30);
  await drawn();
  expect(text()).toContain('50 %');
  stage.advance(50);
  stage.done();
  reporter.close();
  expect(text()).toContain('100 of 100 in ');
  expect(text()).not.toContain('\u0007');
});

test('a stage of nothing has no share beyond all of it', async () => {
  const { stream, text } = terminal();
  const reporter = barReporter(stream);
  const stage = reporter.stage('read', { unit: 'bytes', total: 0 });
  await drawn();
  expect(text()).toContain('0 %');
  expect(text()).not.toMatch(/NaN|Infinity/);
  stage.done('nothing to read');
  expect(text()).toContain('nothing to read\n');
  reporter.close();
});

test('notes and warnings are lines, whether or not a bar is drawn', async () => {
  const { stream, text } = terminal();
  const reporter = barReporter(stream);
  reporter.note('before');
  const stage = reporter.stage('a', { unit: 'bytes', total: 4 });
  reporter.warn('during');
  await drawn();
  stage.done('done with a');
  reporter.note('after');
  reporter.close();
  for (const line of ['note: before', 'warning: during', 'done with a', 'note: after'])
    expect(text()).toContain(`${line}\n`);
});

test('what is waited for has its name and its time, and no share', async () => {
  const { stream, text } = terminal();
  const reporter = barReporter(stream);
  const stage = reporter.stage('open the bundle', { unit: 'wait', total: 0 });
  await drawn();
  stage.done();
  reporter.close();
  expect(text()).toContain('open the bundle, for 0 s');
  expect(text()).not.toMatch(/%|in 0 s/);
});

test('time left runs out, and then nothing is said of it', async () => {
  const { stream, text } = terminal();
  const reporter = barReporter(stream);
  const stage = reporter.stage('verify', { unit: 'work', total: 10 });
  stage.advance(5, { text: 'candidate', secondsLeft: 0.9 });
  await drawn();
  expect(text()).toContain('1 s left (candidate)');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(text().slice(text().lastIndexOf('%'))).not.toContain('left');
  stage.done();
  reporter.close();
});
