import { createRequire } from 'node:module';
import { rolldown } from 'rolldown';

/** The one hash of hash-wasm that is asked for: its whole is twice the size of all else. */
const SHA256 = createRequire(import.meta.url).resolve('hash-wasm/dist/sha256.umd.min.js');

/**
 * A built module and all that it imports as one minified file for `<script type="module">`, without bare imports: what
 * Node alone has is asked for by names that a page never meets.
 */
export async function writeOneFile(input: string, file: string): Promise<void> {
  const bundle = await rolldown({
    input,
    platform: 'browser',
    resolve: { alias: { 'hash-wasm': SHA256 } },
    logLevel: 'warn',
    onLog: (_, { message }) => {
      throw new Error(message);
    },
  });
  try {
    await bundle.write({ file, format: 'esm', codeSplitting: false, minify: true });
  } finally {
    await bundle.close();
  }
}
