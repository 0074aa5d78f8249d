import type { ReadmeInput } from '../readme/readme_input.ts';
import { runtimeReadme } from '../readme/runtime_readme.ts';

const PACKAGES = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-converter', '@tensorflow/tfjs-backend-wasm'];

/** README.md of a tfjs bundle, with the programs that run it by `pgconv/tfjs`. */
export function readme(input: ReadmeInput): string {
  return runtimeReadme(input, {
    title: 'TensorFlow.js',
    contents: [
      'Graph models (folders with a `model.json`, which `tf.loadGraphModel` reads) and the plan by which',
      '`pgconv/tfjs` drives them (`tfjs.json`), in browsers and in Node.',
    ],
    actor: 'driver',
    node: {
      packages: PACKAGES.join(' '),
      program: (path) => [
        "import * as core from '@tensorflow/tfjs-core';",
        "import * as converter from '@tensorflow/tfjs-converter';",
        "import '@tensorflow/tfjs-backend-wasm';",
        "import { load } from 'pgconv/tfjs';",
        '',
        "await core.setBackend('wasm');",
        `const model = await load(${path}, { tf: { ...core, ...converter } });`,
      ],
      dispose: 'model.dispose();',
    },
    browser: {
      program: (path) => [
        "import * as tf from '@tensorflow/tfjs';",
        "import '@tensorflow/tfjs-backend-webgpu';",
        "import { load } from 'pgconv/tfjs';",
        '',
        "await tf.setBackend('webgpu');",
        `const model = await load(${path}, { tf, onProgress: ({ loaded, total }) => console.log(loaded / total) });`,
      ],
    },
  });
}
