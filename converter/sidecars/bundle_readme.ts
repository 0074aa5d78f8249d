import { answerUsage, retrievalUsage, type Usage } from './bundle_usage.ts';
import { DEFAULT_FOLDER, dtypesOf, mainFolder, SESSIONS, type OnnxFile } from './onnx_files.ts';
import { bullets, closing, facts, fence, origin, paragraphs, quoted, type ReadmeInput } from './readme_parts.ts';

export interface BundleReadmeInput extends ReadmeInput {
  readonly onnxFiles: readonly OnnxFile[];
}

const CLIENT = '@huggingface/transformers';
const CLIENT_VERSION = '4.3.1';

/** README.md of an ONNX bundle. The same input gives the same text: no time, no path of this machine. */
export function bundleReadme(input: BundleReadmeInput): string {
  const { metadata, precision } = input;
  const usage =
    metadata.retrievalWidth === undefined ? answerUsage(metadata) : retrievalUsage(metadata, metadata.retrievalWidth);
  return paragraphs([
    `# ${metadata.variant}, ONNX ${precision}`,
    `${usage.summary} Graphs for ONNX Runtime, laid out for ${CLIENT} ${CLIENT_VERSION} in Node and in browsers.`,
    origin(input),
    facts(metadata),
    '## Node',
    `\`npm install ${CLIENT}@${CLIENT_VERSION}\`, then, with this folder at \`models/${input.name}\`:`,
    fence('js', program(input, usage, { setUp: ["env.localModelPath = './models/';"], image: './photo.jpg' })),
    '## Browser',
    `Serve this folder at \`/models/${input.name}/\`, and in a module script:`,
    fence(
      'js',
      program(input, usage, {
        from: `https://cdn.jsdelivr.net/npm/${CLIENT}@${CLIENT_VERSION}`,
        setUp: ['env.allowLocalModels = true;', "env.localModelPath = '/models/';"],
        device: true,
        image: '/photo.jpg',
      }),
    ),
    input.hasTokenizer
      ? undefined
      : '**This bundle has no tokenizer**, so the processor above will not open. Convert again with `--tokenizer`, giving the tokenizer.model or the tokenizer.json of the model.',
    '## Prompts',
    usage.prompts,
    '## Faults of the client to know about',
    bullets([
      'Several prompts of different length in one batch: the client pads them on the left, and gives the decoder a wrong mask after the first token. Give one prompt at a time, or prompts of one length.',
      `Images are resized otherwise than in Python: in Node half a pixel aside and without smoothing, in browsers by the canvas whatever \`resample\` says. Answers that were close may differ. Give an image of exactly ${metadata.imageSize}x${metadata.imageSize} pixels, resized by other means, to have the reference's pixels.`,
      'Without `<image>` in the text, every prompt of a batch gets the tokens of all images. Always write it.',
    ]),
    ...closing(input),
  ]);
}

interface Setting {
  readonly from?: string;
  readonly setUp: readonly string[];
  readonly device?: boolean;
  readonly image: string;
}

/** The program that runs the bundle: `dtype` names the files that are there. */
function program(
  { name, onnxFiles }: BundleReadmeInput,
  { imports, ask }: Usage,
  { from = CLIENT, setUp, device = false, image }: Setting,
): string {
  const folder = mainFolder(onnxFiles);
  const dtypes = dtypesOf(onnxFiles, folder);
  const options = [
    `dtype: { ${SESSIONS.flatMap((session) => (dtypes[session] === undefined ? [] : [`${session}: '${dtypes[session]}'`])).join(', ')} }`,
    ...(device ? ["device: 'webgpu'"] : []),
    ...(folder === DEFAULT_FOLDER ? [] : [`subfolder: ${quoted(folder)}`]),
  ];
  return [
    `import { ${['AutoProcessor', 'PaliGemmaForConditionalGeneration', 'RawImage', ...imports, 'env'].join(', ')} } from ${quoted(from)};`,
    '',
    'env.allowRemoteModels = false;',
    ...setUp,
    '',
    `const processor = await AutoProcessor.from_pretrained(${quoted(name)});`,
    `const model = await PaliGemmaForConditionalGeneration.from_pretrained(${quoted(name)}, {`,
    ...options.map((option) => `  ${option},`),
    '});',
    '',
    `const image = await RawImage.read(${quoted(image)});`,
    ...ask,
  ].join('\n');
}
