import type { ProgramMetadata } from '../../ir/graph.ts';
import { closing, facts, fence, origin, paragraphs, quoted, type ReadmeInput } from './readme_parts.ts';

/** README.md of a bundle of shaders. The same input gives the same text: no time, no path of this machine. */
export function wgslReadme(input: ReadmeInput): string {
  const { metadata, name, precision, hasTokenizer } = input;
  return paragraphs([
    `# ${metadata.variant}, WGSL ${precision}`,
    `PaliGemma: reads an image of ${metadata.imageSize}x${metadata.imageSize} pixels and a prompt, and answers in text. Shaders (\`shaders/\`, readable), weights (\`weights/\`) and the plan by which \`pgconv/runtime\` runs them on WebGPU (\`manifest.pgw\`), in browsers and in Node.`,
    origin(input),
    facts(metadata),
    '## Node',
    `\`npm install pgconv webgpu\`, then, with this folder at \`models/${name}\`:`,
    fence(
      'js',
      [
        "import { load } from 'pgconv/runtime';",
        '',
        `const model = await load(${quoted(`./models/${name}`)});`,
        ...ask("'./photo.jpg'", 'process.stdout.write(piece)'),
        '',
        'await model.dispose();',
      ].join('\n'),
    ),
    '## Browser',
    `Serve this folder at \`/models/${name}/\` by a server that answers range requests, as nearly all do. In a module of your application, which a bundler resolves:`,
    fence(
      'js',
      [
        "import { load } from 'pgconv/runtime';",
        '',
        `const model = await load(${quoted(`/models/${name}/`)}, { onProgress: ({ loaded, total }) => console.log(loaded / total) });`,
        "const photo = await (await fetch('/photo.jpg')).blob();",
        ...ask('photo', 'document.body.append(piece)'),
      ].join('\n'),
    ),
    'Weights are fetched once and kept in the browser (OPFS, where it has one). A browser without WebGPU, a limit that is too small and a file that was damaged on the way are errors with a `code`; what the runtime chose of the device, and why, is in `model.info`.',
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
  return `The runtime puts ${imageTokens} image tokens and \`<bos>\` before the prompt and a newline behind it. Models that were trained on the usual mixture know \`caption en\`, \`detect cat\`, \`segment cat\`, \`answer en where is the cat?\`, \`ocr\`. Boxes are four tokens \`<locDDDD>\`: y0, x0, y1, x1, from 0000 at one side of the image to 1023 at the other.`;
}
