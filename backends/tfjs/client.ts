import type { PageClient } from '../browser/page_client.ts';

const scriptOf = (name: string): string => `@tensorflow/tfjs-${name}/dist/tf-${name}.min.js`;

/** `pgconv/tfjs` in a page, with tfjs by the scripts that it is published as. */
export const client: PageClient = {
  module: 'tfjs/page.js',
  imports: {
    'zod/mini': 'zod/mini/index.js',
    '@huggingface/tokenizers': '@huggingface/tokenizers/dist/tokenizers.mjs',
  },
  scripts: (provider) => [scriptOf('core'), scriptOf('converter'), scriptOf(`backend-${provider}`)],
};
