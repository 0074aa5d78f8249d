import type { ProgramMetadata } from '../../ir/graph.ts';
import { answerUsage, retrievalUsage, type Usage } from './bundle_usage.ts';
import { DEFAULT_FOLDER, dtypesOf, mainFolder, SESSIONS, type OnnxFile } from './onnx_files.ts';

export interface BundleReadmeInput {
  readonly metadata: ProgramMetadata;
  /** Name of the bundle's folder, for the examples. */
  readonly name: string;
  readonly tool: { readonly name: string; readonly version: string };
  readonly source: {
    readonly format: 'huggingface' | 'big_vision';
    /** Weight files, relative to the checkpoint. */
    readonly files: readonly string[];
    /** Of the weights, such as `bf16`. */
    readonly dtypes: readonly string[];
  };
  /** As the command line spells it. */
  readonly precision: string;
  readonly onnxFiles: readonly OnnxFile[];
  readonly hasTokenizer: boolean;
  /** The command line that checks the bundle, as a reader would type it. */
  readonly verifyCommand: string;
  /** Sentences for whoever runs the bundle. What tells only where its files came from is in the manifest: like bundles have like files. */
  readonly notes: readonly string[];
}

const CLIENT = '@huggingface/transformers';
const CLIENT_VERSION = '4.3.1';
const FORMATS = { huggingface: 'a Hugging Face checkpoint', big_vision: 'a big_vision checkpoint' } as const;

/** README.md of an ONNX bundle. The same input gives the same text: no time, no path of this machine. */
export function bundleReadme(input: BundleReadmeInput): string {
  const { metadata, tool, source, precision, notes } = input;
  const usage = metadata.retrievalWidth === undefined ? answerUsage(metadata) : retrievalUsage(metadata, metadata.retrievalWidth);
  return `${[
    `# ${metadata.variant}, ONNX ${precision}`,
    `${usage.summary} Graphs for ONNX Runtime, laid out for ${CLIENT} ${CLIENT_VERSION} in Node and in browsers.`,
    `Made by ${tool.name} ${tool.version} from ${FORMATS[source.format]} (${source.files.map(code).join(', ')}; weights in ${source.dtypes.join(', ')}), in precision ${precision}. manifest.json holds the SHA-256 of every source file and of every file here.`,
    facts(metadata),
    '## Node',
    `\`npm install ${CLIENT}@${CLIENT_VERSION}\`, then, with this folder at \`models/${input.name}\`:`,
    fence('js', program(input, usage, { setUp: ["env.localModelPath = './models/';"], image: './photo.jpg' })),
    '## Browser',
    `Serve this folder at \`/models/${input.name}/\`, and in a module script:`,
    fence('js', program(input, usage, { from: `https://cdn.jsdelivr.net/npm/${CLIENT}@${CLIENT_VERSION}`, setUp: ['env.allowLocalModels = true;', "env.localModelPath = '/models/';"], device: true, image: '/photo.jpg' })),
    input.hasTokenizer ? undefined : '**This bundle has no tokenizer**, so the processor above will not open. Convert again with `--tokenizer`, giving the tokenizer.model or the tokenizer.json of the model.',
    '## Prompts',
    usage.prompts,
    '## Faults of the client to know about',
    bullets([
      'Several prompts of different length in one batch: the client pads them on the left, and gives the decoder a wrong mask after the first token. Give one prompt at a time, or prompts of one length.',
      `Images are resized otherwise than in Python: in Node half a pixel aside and without smoothing, in browsers by the canvas whatever \`resample\` says. Answers that were close may differ. Give an image of exactly ${metadata.imageSize}x${metadata.imageSize} pixels, resized by other means, to have the reference's pixels.`,
      'Without `<image>` in the text, every prompt of a batch gets the tokens of all images. Always write it.',
    ]),
    '## Checking it',
    `\`${input.verifyCommand}\` runs this bundle and the checkpoint's own arithmetic on the same inputs, and compares them stage by stage.`,
    notes.length > 0 ? '## Notes' : undefined,
    notes.length > 0 ? bullets(notes) : undefined,
    '## Licence',
    'The weights keep the licence of the checkpoint that they were made from; for PaliGemma those are the Gemma Terms of Use.',
  ]
    .filter((part) => part !== undefined)
    .join('\n\n')}\n`;
}

function facts({ imageTokens, imageTokenId, vocabSize, layers, hiddenSize, maxPositions }: ProgramMetadata): string {
  return [
    '| | |',
    '|---|---|',
    `| image tokens | ${imageTokens} (id ${imageTokenId}) |`,
    `| vocabulary | ${vocabSize} |`,
    `| decoder | ${layers} layers, width ${hiddenSize} |`,
    `| longest sequence | ${maxPositions} tokens |`,
  ].join('\n');
}

interface Setting {
  readonly from?: string;
  readonly setUp: readonly string[];
  readonly device?: boolean;
  readonly image: string;
}

/** The program that runs the bundle: `dtype` names the files that are there. */
function program({ name, onnxFiles }: BundleReadmeInput, { imports, ask }: Usage, { from = CLIENT, setUp, device = false, image }: Setting): string {
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

/** A JavaScript string in single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

function bullets(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}
