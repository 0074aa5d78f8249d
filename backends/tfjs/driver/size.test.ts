import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pageSize } from '../../testing/page_size.ts';

/** What a page loads besides tfjs, which it hands over, and tokenizer and hashing, which are libraries of their own. */
const MOST_BYTES = 29.5 * 1024;

test('the driver for browsers: at most 29.5 KB gzipped, with nothing of tfjs or Node in it', async () => {
  const { gzipped, plain, imports } = await pageSize(join(import.meta.dirname, 'index.ts'), [
    '@huggingface/tokenizers',
    'hash-wasm',
    /^@tensorflow/,
  ]);
  console.log(`pgconv/tfjs: ${gzipped} bytes gzipped, ${plain} as they are`);
  expect(gzipped).toBeLessThanOrEqual(MOST_BYTES);
  expect(imports.toSorted()).toEqual(['@huggingface/tokenizers', 'hash-wasm']);
});
