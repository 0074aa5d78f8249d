import type { ReadmeInput } from '../readme/readme_input.ts';
import { runtimeReadme } from '../readme/runtime_readme.ts';

/** README.md of a bundle of shaders, with the programs that run it by `pgconv/runtime`. */
export function readme(input: ReadmeInput): string {
  return runtimeReadme(input, {
    title: 'WGSL',
    contents: [
      'Shaders (`shaders/`, readable), weights (`weights/`) and the plan by which `pgconv/runtime` runs them',
      'on WebGPU (`manifest.pgw`), in browsers and in Node.',
    ],
    actor: 'runtime',
    node: {
      packages: 'webgpu',
      program: (path) => ["import { load } from 'pgconv/runtime';", '', `const model = await load(${path});`],
      dispose: 'await model.dispose();',
    },
    browser: {
      server: ' by a server that answers range requests, as nearly all do',
      program: (path) => [
        "import { load } from 'pgconv/runtime';",
        '',
        `const model = await load(${path}, { onProgress: ({ loaded, total }) => console.log(loaded / total) });`,
      ],
      remarks: [
        'Weights are fetched once and kept in the browser (OPFS, where it has one).',
        'A browser without WebGPU, a limit that is too small and a file that was damaged on the way are errors',
        'with a `code`; what the runtime chose of the device, and why, is in `model.info`.',
      ],
    },
  });
}
