import type { PageClient } from '../browser/page_client.ts';

/** `pgconv/runtime` in a page. */
export const client: PageClient = {
  module: 'wgsl/page.js',
  imports: {
    flatbuffers: 'flatbuffers/mjs/flatbuffers.js',
    '@huggingface/tokenizers': '@huggingface/tokenizers/dist/tokenizers.mjs',
  },
};
