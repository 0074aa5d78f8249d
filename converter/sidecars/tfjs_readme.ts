import type { ProgramMetadata } from '../../ir/graph.ts';
import { closing, facts, fence, origin, paragraphs, quoted, type ReadmeInput } from './readme_parts.ts';

/** README.md of a tfjs bundle. The same input gives the same text: no time, no path of this machine. */
export function tfjsReadme(input: ReadmeInput): string {
  const { metadata, name, precision, hasTokenizer } = input;
  return paragraphs([
    `# ${metadata.variant}, TensorFlow.js ${precision}`,
    `PaliGemma: reads an image of ${metadata.imageSize}x${metadata.imageSize} pixels and a prompt, and answers in text. Graph models (folders with a \`model.json\`, which \`tf.loadGraphModel\` reads) and the plan by which \`pgconv/tfjs\` drives them (\`tfjs.json\`), in browsers and in Node.`,
    origin(input),
    facts(metadata),
    '## Node',
    `\`npm install pgconv @tensorflow/tfjs-core @tensorflow/tfjs-converter @tensorflow/tfjs-backend-wasm\`, then, with this folder at \`models/${name}\`:`,
    fence(
      'js',
      [
        "import * as core from '@tensorflow/tfjs-core';",
        "import * as converter from '@tensorflow/tfjs-converter';",
        "import '@tensorflow/tfjs-backend-wasm';",
        "import { load } from 'pgconv/tfjs';",
        '',
        "await core.setBackend('wasm');",
        `const model = await load(${quoted(`./models/${name}`)}, { tf: { ...core, ...converter } });`,
        ...ask("'./photo.jpg'", 'process.stdout.write(piece)'),
        '',
        'model.dispose();',
      ].join('\n'),
    ),
    '## Browser',
    `Serve this folder at \`/models/${name}/\`. In a module of your application, which a bundler resolves:`,
    fence(
      'js',
      [
        "import * as tf from '@tensorflow/tfjs';",
        "import '@tensorflow/tfjs-backend-webgpu';",
        "import { load } from 'pgconv/tfjs';",
        '',
        "await tf.setBackend('webgpu');",
        `const model = await load(${quoted(`/models/${name}/`)}, { tf, onProgress: ({ loaded, total }) => console.log(loaded / total) });`,
        "const photo = await (await fetch('/photo.jpg')).blob();",
        ...ask('photo', 'document.body.append(piece)'),
      ].join('\n'),
    ),
    hasTokenizer
      ? undefined
      : '**This bundle has no tokenizer**, so it answers only prompts that are given as ids. Convert again with `--tokenizer`, giving the tokenizer.model or the tokenizer.json of the model.',
    '## Prompts',
    prompts(metadata),
    ...closing(input),
  ]);
}

function ask(image: string, use: string): readonly string[] {
  return [`for await (const piece of model.generate({ image: ${image}, prompt: 'caption en' })) ${use};`];
}

function prompts({ imageTokens }: ProgramMetadata): string {
  return `The driver puts ${imageTokens} image tokens and \`<bos>\` before the prompt and a newline behind it. Models that were trained on the usual mixture know \`caption en\`, \`detect cat\`, \`segment cat\`, \`answer en where is the cat?\`, \`ocr\`. Boxes are four tokens \`<locDDDD>\`: y0, x0, y1, x1, from 0000 at one side of the image to 1023 at the other.`;
}
