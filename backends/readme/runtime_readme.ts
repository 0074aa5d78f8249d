import { markdownCode } from '../../ir/text/markdown.ts';
import { fence, paragraphs, quoted } from './markdown.ts';
import type { AnswerUse, ReadmeInput } from './readme_input.ts';
import { closing, missingTokenizer, origin, sizes } from './sections.ts';

/** What a backend says of its bundles, and of the runtime of ours that drives them. */
export interface RuntimeText {
  /** `WGSL`. */
  readonly title: string;
  /** What lies in the bundle. */
  readonly contents: readonly string[];
  /** What puts image tokens before a prompt: `runtime`. */
  readonly actor: string;
  readonly node: {
    /** What is installed beside pgconv. */
    readonly packages: string;
    /** Lines of the program up to the first answer: `model` is there. */
    program(path: string): readonly string[];
    /** The line that gives all of it back. */
    readonly dispose: string;
  };
  readonly browser: {
    /** What the server must be able to do; absent: nothing. */
    readonly server?: string;
    program(path: string): readonly string[];
    /** What to know of browsers. */
    readonly remarks?: readonly string[];
  };
}

/**
 * README.md of a bundle that a runtime of ours drives: it gives answers. The same input gives the same text: no time,
 * no path of this machine.
 * @throws RangeError for a model that gives none
 */
export function runtimeReadme(input: ReadmeInput, { title, contents, actor, node, browser }: RuntimeText): string {
  const { metadata, name, precision, use } = input;
  if (use.kind !== 'answers') throw new RangeError(`${metadata.variant} gives no answers`);
  const { server = '' } = browser;
  return paragraphs([
    `# ${metadata.variant}, ${title} ${precision}`,
    [use.summary, ...contents],
    origin(input),
    sizes(input),
    '## Node',
    [
      `Install pgconv (its docs/installing.md says how: no registry has it yet) and \`npm install ${node.packages}\`;`,
      `then, with this folder at ${markdownCode(`models/${name}`)}:`,
    ],
    fence('js', [
      ...node.program(quoted(`./models/${name}`)),
      ask(use, quoted('./photo.jpg'), 'process.stdout.write(piece)'),
      '',
      node.dispose,
    ]),
    '## Browser',
    [
      `Serve this folder at ${markdownCode(`/models/${name}/`)}${server}, manifest.json with it: every file is held to it as it comes.`,
      'In a module of your application, which a bundler resolves:',
    ],
    fence('js', [
      ...browser.program(quoted(`/models/${name}/`)),
      "const photo = await (await fetch('/photo.jpg')).blob();",
      ask(use, 'photo', 'document.body.append(piece)'),
    ]),
    browser.remarks,
    missingTokenizer(input, 'it answers only prompts that are given as ids'),
    '## Prompts',
    [
      `The ${actor} puts ${metadata.imageTokens} image tokens and \`<bos>\` before the prompt and a newline behind it.`,
      'Several images, such as frames, are a list: `image: [first, second]`; each has as many tokens.',
      use.prompts,
    ],
    ...objects(input, use),
    ...closing(input),
  ]);
}

/** How answers become objects, and codes masks. */
function objects({ metadata: { maskSize } }: ReadmeInput, { maskPrompt }: AnswerUse) {
  const hasMasks = maskSize !== undefined;
  return [
    '## Objects',
    [
      'Boxes of an answer as objects, each as soon as it is complete',
      ...(hasMasks ? [`, with its mask (f32 [${maskSize}, ${maskSize}], raw)`] : []),
      '; `pgconv/answers` places and draws them:',
    ].join(''),
    fence('js', [
      "import { drawObjects } from 'pgconv/answers';",
      '',
      '// a 2D context of a canvas that shows the photo',
      "const context = document.querySelector('canvas').getContext('2d');",
      `for await (const seen of model.generateObjects({ image: photo, prompt: ${quoted(maskPrompt)} })) {`,
      `  console.log(seen.name, seen.box${hasMasks ? ', seen.mask' : ''});`,
      '  drawObjects(context, [seen]);',
      '}',
    ]),
  ];
}

function ask({ examplePrompt }: AnswerUse, image: string, use: string): string {
  const request = `{ image: ${image}, prompt: ${quoted(examplePrompt)} }`;
  return `for await (const piece of model.generate(${request})) ${use};`;
}
