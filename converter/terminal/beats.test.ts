import { expect, test } from 'vitest';
import { Beats } from './beats.js';

test('nothing is added where something is said, and a line where nothing is for long', () => {
  const beats = new Beats(0);
  const spoken: string[] = [];
  for (let now = 0; now <= 60_000; now += 1000) {
    if (now === 1000) beats.hear({ kind: 'opened', id: 0, label: 'hash', at: now });
    if (now === 2000) beats.hear({ kind: 'advanced', id: 0, text: '1 of 5' });
    if (now === 5000 || now === 12_000) beats.hear({ kind: 'told', at: now });
    if (now === 38_000) beats.hear({ kind: 'closed', id: 0, at: now });
    const line = beats.due(now);
    if (line !== undefined) spoken.push(`${now / 1000}: ${line}`);
  }
  expect(spoken).toEqual([
    '19: hash: 1 of 5; still working, for 18 s',
    '26: hash: 1 of 5; still working, for 25 s',
    '33: hash: 1 of 5; still working, for 32 s',
    '40: still working, for 2 s',
    '47: still working, for 9 s',
    '54: still working, for 16 s',
  ]);
});

test('whatever is told, 10 s are never silent', () => {
  const beats = new Beats(0);
  let last = 0;
  for (let now = 0, seed = 1; now < 600_000; now += 1000) {
    seed = (seed * 16_807) % 2_147_483_647;
    const says = seed % 7 === 0;
    if (says) beats.hear({ kind: 'told', at: now });
    if (seed % 11 === 0) beats.hear({ kind: 'opened', id: seed, label: 'x', at: now });
    if (says || beats.due(now) !== undefined) {
      expect(now - last).toBeLessThan(10_000);
      last = now;
    }
  }
});

test('the stage that was opened last is what works; one that was closed is not heard of', () => {
  const beats = new Beats(0);
  beats.hear({ kind: 'opened', id: 1, label: 'outer', at: 0 });
  beats.hear({ kind: 'opened', id: 2, label: 'inner', at: 0 });
  expect(beats.due(7000)).toBe('inner: still working, for 7 s');
  beats.hear({ kind: 'closed', id: 2, at: 7000 });
  beats.hear({ kind: 'advanced', id: 2, text: 'late' });
  expect(beats.due(14_000)).toBe('outer: still working, for 14 s');
  expect(beats.due(20_000)).toBeUndefined();
});
