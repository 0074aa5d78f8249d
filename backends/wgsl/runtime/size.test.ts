import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pageSize } from '../../testing/page_size.ts';

/** What a page loads besides tokenizer and hashing, which are libraries of their own. */
const MOST_BYTES = 40 * 1024;

test('the runtime for browsers, without tokenizer and hashing: at most 40 KB gzipped, and nothing of Node in it', async () => {
  const { gzipped, plain, imports } = await pageSize(join(import.meta.dirname, 'index.ts'), [
    '@huggingface/tokenizers',
    'hash-wasm',
  ]);
  console.log(`pgconv/runtime: ${gzipped} bytes gzipped, ${plain} as they are`);
  expect(gzipped).toBeLessThanOrEqual(MOST_BYTES);
  expect(imports.toSorted()).toEqual(['@huggingface/tokenizers', 'hash-wasm']);
});
