import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pageSize } from '../../testing/page_size.ts';

/** What a page loads besides hashing, which is a library of its own. */
const MOST_BYTES = 6 * 1024;

test('pgconv/integrity for browsers: at most 6 KB gzipped, and nothing of Node in it', async () => {
  const { gzipped, plain, imports } = await pageSize(join(import.meta.dirname, 'index.ts'), ['hash-wasm']);
  console.log(`pgconv/integrity: ${gzipped} bytes gzipped, ${plain} as they are`);
  expect(gzipped).toBeLessThanOrEqual(MOST_BYTES);
  expect(imports).toEqual(['hash-wasm']);
});
