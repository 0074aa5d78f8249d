import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pageSize } from '../../testing/page_size.ts';

/** What a page loads besides the tokenizer, which is a library of its own. */
const MOST_BYTES = 40 * 1024;

test('the runtime for browsers, without the tokenizer: at most 40 KB gzipped, and nothing of Node in it', async () => {
  const { gzipped, plain, imports } = await pageSize(join(import.meta.dirname, 'index.ts'), [
    '@huggingface/tokenizers',
  ]);
  console.log(`pgconv/runtime: ${gzipped} bytes gzipped, ${plain} as they are`);
  expect(gzipped).toBeLessThanOrEqual(MOST_BYTES);
  expect(imports).toEqual(['@huggingface/tokenizers']);
});
