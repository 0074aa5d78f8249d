import { expect, test } from 'vitest';
import { Recent } from './recent.ts';

function holder(heldBytes: number) {
  return {
    heldBytes,
    release() {
      this.heldBytes = 0;
    },
  };
}

test('the oldest lets go first, the last one never', () => {
  const recent = new Recent(100);
  const [a, b, c, huge] = [holder(40), holder(40), holder(40), holder(1000)];
  recent.use(a);
  recent.use(b);
  recent.use(a);
  recent.use(c);
  expect([a, b, c].map((h) => h.heldBytes)).toEqual([40, 0, 40]);
  recent.use(huge);
  expect([a, c, huge].map((h) => h.heldBytes)).toEqual([0, 0, 1000]);
  huge.heldBytes = 10;
  recent.use(b);
  expect(huge.heldBytes).toBe(10);
});

test('one that grew counts as it is now', () => {
  const recent = new Recent(100);
  const [a, b] = [holder(0), holder(0)];
  recent.use(a);
  recent.use(b);
  a.heldBytes = 60;
  b.heldBytes = 60;
  recent.use(b);
  expect([a.heldBytes, b.heldBytes]).toEqual([0, 60]);
});
