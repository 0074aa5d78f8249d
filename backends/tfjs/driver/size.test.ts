import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { expect, test } from 'vitest';

/** What a page loads besides tfjs, which it hands over, and the tokenizer, which is a library of its own. */
const MOST_BYTES = 25 * 1024;

test('the driver for browsers: at most 25 KB gzipped, with nothing of tfjs or Node in it', async () => {
  const bundle = await rolldown({ input: join(import.meta.dirname, 'index.ts'), platform: 'browser', external: ['@huggingface/tokenizers', /^@tensorflow/], logLevel: 'warn', onLog: (_, log) => expect.unreachable(log.message) });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const chunks = output.flatMap((file) => (file.type === 'chunk' ? [file] : []));
  const bytes = chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).byteLength, 0);
  console.log(`pgconv/tfjs: ${bytes} bytes gzipped, ${chunks.reduce((sum, { code }) => sum + code.length, 0)} as they are`);
  expect(bytes).toBeLessThanOrEqual(MOST_BYTES);
  expect(chunks.flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports]).filter((name) => !chunks.some(({ fileName }) => fileName === name))).toEqual(['@huggingface/tokenizers']);
});
