import { markdownCode } from '../../../ir/text/markdown.ts';
import { bullets, fence, paragraphs, quoted } from '../../readme/markdown.ts';
import type { ModelUse, ReadmeInput } from '../../readme/readme_input.ts';
import { closing, missingTokenizer, origin, sizes } from '../../readme/sections.ts';
import { DEFAULT_FOLDER, dtypesOf, mainFolder, SESSIONS, type OnnxFile } from './onnx_files.ts';

/** What the README of an ONNX bundle tells beside. */
export interface OnnxReadmeInput extends ReadmeInput {
  readonly onnxFiles: readonly OnnxFile[];
  /** The client's class for the model: `PaliGemmaForConditionalGeneration`. */
  readonly modelClass: string;
}

const CLIENT = '@huggingface/transformers';
const CLIENT_VERSION = '4.3.1';

/** The graph that makes masks of codes, as its file is named. */
const MASK_DECODER = 'mask_decoder';

/** README.md of an ONNX bundle. The same input gives the same text: no time, no path of this machine. */
export function onnxReadme(input: OnnxReadmeInput): string {
  const { metadata, precision, use } = input;
  return paragraphs([
    `# ${metadata.variant}, ONNX ${precision}`,
    [`${use.summary} Graphs for ONNX Runtime, laid out for ${CLIENT} ${CLIENT_VERSION}`, 'in Node and in browsers.'],
    origin(input),
    sizes(input),
    '## Node',
    `\`npm install ${CLIENT}@${CLIENT_VERSION}\`, then, with this folder at ${markdownCode(`models/${input.name}`)}:`,
    fence('js', program(input, { setUp: ["env.localModelPath = './models/';"], image: './photo.jpg' })),
    '## Browser',
    `Serve this folder at ${markdownCode(`/models/${input.name}/`)}, and in a module script:`,
    fence(
      'js',
      program(input, {
        from: `https://cdn.jsdelivr.net/npm/${CLIENT}@${CLIENT_VERSION}`,
        setUp: ['env.allowLocalModels = true;', "env.localModelPath = '/models/';"],
        device: true,
        image: '/photo.jpg',
      }),
    ),
    ...browserNeeds(input),
    missingTokenizer(input, 'the processor above will not open'),
    ...checks(input),
    '## Prompts',
    [...imagePrompt(use, metadata.imageTokens), use.prompts],
    ...objects(input),
    '## Faults of the client to know about',
    bullets([
      [
        'Several prompts of different length in one batch: the client pads them on the left, and gives the decoder',
        'a wrong mask after the first token. Give one prompt at a time, or prompts of one length.',
      ],
      [
        'Images are resized otherwise than in Python: in Node half a pixel aside and without smoothing, in browsers',
        'by the canvas whatever `resample` says. Answers that were close may differ. Give an image of exactly',
        `${metadata.imageSize}x${metadata.imageSize} pixels, resized by other means, to have the reference's pixels.`,
      ],
      ['Without `<image>` in the text, every prompt of a batch gets the tokens of all images.', 'Always write it.'],
    ]),
    ...closing(input),
  ]);
}

/** What of a browser and of a server the page needs. */
function browserNeeds({ precision }: OnnxReadmeInput): readonly (readonly string[])[] {
  const f16 = [
    'Its values are in f16 on a GPU, which needs the feature `shader-f16` there:',
    "`(await navigator.gpu?.requestAdapter())?.features.has('shader-f16')`. Where that is not true, leave",
    "`device: 'webgpu'` out, and WebAssembly computes; or convert with `--dtype fp32` or `int4`, whose values are in f32.",
  ];
  return [
    ...(F16_VALUES.has(precision) ? [f16] : []),
    [
      `ONNX Runtime's own files come from a CDN. To serve them yourself, copy \`ort-wasm-simd-threaded.*\` of`,
      '`node_modules/onnxruntime-web/dist/` to a folder of your server, and say where before the model is opened:',
      "`env.backends.onnx.wasm.wasmPaths = '/ort/';`. Several threads need a page that is cross-origin isolated: the",
      'headers `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`.',
    ],
  ];
}

/** Precisions whose activations a GPU has in f16. */
const F16_VALUES: ReadonlySet<string> = new Set(['fp16', 'q4f16']);

/** How answers become objects, and codes masks: the client knows neither. */
function objects({
  name,
  metadata: { maskSize },
  onnxFiles,
  use,
}: OnnxReadmeInput): readonly (string | readonly string[])[] {
  if (use.kind !== 'answers') return [];
  const decoder = onnxFiles.find((file) => file.name.startsWith(MASK_DECODER));
  const parse = ["import { drawObjects, parseAnswer } from 'pgconv/answers';"];
  const draw = (objects: string) => [
    '// a 2D context of a canvas that shows the image',
    `drawObjects(context, ${objects});`,
  ];
  if (!decoder || maskSize === undefined)
    return [
      '## Objects',
      'The text of an answer as objects, by `pgconv/answers`, which also places and draws their boxes:',
      fence('js', [...parse, '', 'const { objects } = parseAnswer(text);', ...draw('objects')]),
    ];
  const path = `${decoder.folder}/${decoder.name}`;
  const data = `${decoder.name}_data`;
  return [
    '## Objects and masks',
    [
      `An answer to \`<image>${use.maskPrompt}\` has codes, of which ${markdownCode(decoder.name)} makes masks in ONNX Runtime,`,
      'which the client has installed beside it (`npm install onnxruntime-node` elsewhere). `pgconv/answers` parses, places and draws:',
    ],
    fence('js', [
      ...parse,
      "import { InferenceSession, Tensor } from 'onnxruntime-node';",
      '',
      'const objects = parseAnswer(text).objects.filter(({ codes }) => codes);',
      `const decoder = await InferenceSession.create(${quoted(`./models/${name}/${path}`)});`,
      "const codes = new Tensor('int32', objects.flatMap((object) => object.codes), [objects.length, 16]);",
      'const { masks } = await decoder.run({ codes });',
      `const size = ${maskSize} * ${maskSize};`,
      'const masked = objects.map((object, i) => ({ ...object, mask: masks.data.subarray(i * size, (i + 1) * size) }));',
      ...draw('masked'),
    ]),
    'In a browser the same with `onnxruntime-web`, which is told where the weights are:',
    fence('js', [
      `const decoder = await InferenceSession.create(${quoted(`/models/${name}/${path}`)}, {`,
      `  externalData: [{ path: ${quoted(data)}, data: ${quoted(`/models/${name}/${decoder.folder}/${data}`)} }],`,
      '});',
    ]),
  ];
}

/** How the client's files are held to manifest.json: it looks at none itself. */
function checks({ name, modelClass }: OnnxReadmeInput): readonly (string | readonly string[])[] {
  const address = quoted(`/models/${name}/`);
  return [
    '## Files that were damaged on the way',
    [
      'The client checks no file. `pgconv/integrity` of pgconv (its docs/installing.md says how to install it) holds them',
      'to manifest.json, and its errors name the file. In Node, before the model is loaded:',
    ],
    fence('js', [
      "import { checkBundle } from 'pgconv/integrity';",
      '',
      `await checkBundle(${quoted(`./models/${name}`)});`,
    ]),
    'In a browser as they come, from the server and from what the browser has kept; `orFail` ends the wait for a file that fails:',
    fence('js', [
      "import { verifiedCache, verifiedFetch } from 'pgconv/integrity';",
      '',
      `const verified = await verifiedFetch(${address});`,
      'env.fetch = verified;',
      'env.useCustomCache = true;',
      `env.customCache = await verifiedCache(${address}, await caches.open(env.cacheKey));`,
      `const model = await verified.orFail(${modelClass}.from_pretrained(${quoted(name)}, options));`,
    ]),
  ];
}

/** Where the image stands in a prompt: the client's processor writes its tokens. */
function imagePrompt(use: ModelUse, imageTokens: number): readonly string[] {
  const rest = 'adds `<bos>` after them and a newline at the end.';
  return use.kind === 'answers'
    ? [
        `\`<image>\` stands for the image and comes first; the processor writes it as ${imageTokens} tokens, ${rest}`,
        `Several images are as many \`<image>\`: \`processor([first, second], ${quoted(`<image><image>${use.examplePrompt}`)})\`.`,
      ]
    : [`A page is \`<image>${use.pagePrompt}\`: the processor writes \`<image>\` as ${imageTokens} tokens, ${rest}`];
}

interface Setting {
  readonly from?: string;
  readonly setUp: readonly string[];
  readonly device?: boolean;
  readonly image: string;
}

/** The program that runs the bundle: `dtype` names the files that are there. */
function program(
  { name, onnxFiles, modelClass, use }: OnnxReadmeInput,
  { from = CLIENT, setUp, device = false, image }: Setting,
): readonly string[] {
  const folder = mainFolder(onnxFiles);
  const dtypes = dtypesOf(onnxFiles, folder);
  const named = SESSIONS.flatMap((session) =>
    dtypes[session] === undefined ? [] : [`${session}: '${dtypes[session]}'`],
  );
  const options = [
    `dtype: { ${named.join(', ')} }`,
    ...(device ? ["device: 'webgpu'"] : []),
    ...(folder === DEFAULT_FOLDER ? [] : [`subfolder: ${quoted(folder)}`]),
  ];
  const imports = ['AutoProcessor', modelClass, 'RawImage', ...(use.kind === 'retrieval' ? ['Tensor'] : []), 'env'];
  return [
    `import { ${imports.join(', ')} } from ${quoted(from)};`,
    '',
    'env.allowRemoteModels = false;',
    ...setUp,
    '',
    `const processor = await AutoProcessor.from_pretrained(${quoted(name)});`,
    `const model = await ${modelClass}.from_pretrained(${quoted(name)}, {`,
    ...options.map((option) => `  ${option},`),
    '});',
    '',
    `const image = await RawImage.read(${quoted(image)});`,
    ...ask(use),
  ];
}

/** The lines that use `processor`, `model` and `image`. */
function ask(use: ModelUse): readonly string[] {
  if (use.kind === 'answers')
    return [
      `const inputs = await processor(image, ${quoted(`<image>${use.examplePrompt}`)});`,
      'const ids = await model.generate({ ...inputs, max_new_tokens: 100 });',
      'const answer = ids.slice(null, [inputs.input_ids.dims.at(-1), null]);',
      'console.log(processor.batch_decode(answer, { skip_special_tokens: true })[0]);',
    ];
  const { start, example, filler, count, end } = use.question;
  const question = `${quoted(start + example)} + ${quoted(filler)}.repeat(${count}) + ${quoted(end)}`;
  return [
    "const one = { num_logits_to_keep: new Tensor('int64', [1n], []) };",
    `const page = await model({ ...(await processor(image, ${quoted(`<image>${use.pagePrompt}`)})), ...one });`,
    `const question = processor.tokenizer(${question}, { add_special_tokens: false });`,
    'const { embeddings } = await model({ ...question, ...one });',
    '// Late interaction: for each vector of the question the best match on the page, added up.',
    'const [queries, patches] = [embeddings.tolist()[0], page.embeddings.tolist()[0]];',
    'const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);',
    'console.log(queries.reduce((sum, q) => sum + Math.max(...patches.map((p) => dot(q, p))), 0));',
  ];
}
