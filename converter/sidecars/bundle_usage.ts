import type { ProgramMetadata } from '../../ir/graph.ts';

/** What a bundle's README says of its use: it depends on what the model is for. */
export interface Usage {
  /** What the model does, in a sentence. */
  readonly summary: string;
  /** What the program imports beside the processor, the model and images. */
  readonly imports: readonly string[];
  /** The lines that use `processor`, `model` and `image`. */
  readonly ask: readonly string[];
  readonly prompts: string;
}

/** A model that answers a prompt about a picture. */
export function answerUsage(metadata: ProgramMetadata): Usage {
  return {
    summary: `PaliGemma: reads an image of ${metadata.imageSize}x${metadata.imageSize} pixels and a prompt, and answers in text.`,
    imports: [],
    ask: [
      "const inputs = await processor(image, '<image>caption en');",
      'const ids = await model.generate({ ...inputs, max_new_tokens: 100 });',
      'const answer = ids.slice(null, [inputs.input_ids.dims.at(-1), null]);',
      'console.log(processor.batch_decode(answer, { skip_special_tokens: true })[0]);',
    ],
    prompts: `\`<image>\` stands for the image and comes first; the processor writes it as ${metadata.imageTokens} tokens, adds \`<bos>\` after them and a newline at the end. Models that were trained on the usual mixture know \`caption en\`, \`detect cat\`, \`segment cat\`, \`answer en where is the cat?\`, \`ocr\`. Boxes are four tokens \`<locDDDD>\`: y0, x0, y1, x1, from 0000 at one side of the image to 1023 at the other.`,
  };
}

/** ColPali (arXiv:2407.01449): vectors of pages and of questions, whose late interaction ranks the pages. */
export function retrievalUsage({ imageSize, imageTokens }: ProgramMetadata, width: number): Usage {
  return {
    summary: `ColPali: gives a page, as an image of ${imageSize}x${imageSize} pixels, or a question one vector of ${width} numbers a token, of length 1 (0 for padding), by which pages are found. It is not for answers.`,
    imports: ['Tensor'],
    ask: [
      "const one = { num_logits_to_keep: new Tensor('int64', [1n], []) };",
      "const page = await model({ ...(await processor(image, '<image>Describe the image.')), ...one });",
      "const question = processor.tokenizer('<bos>Which total is due?' + '<pad>'.repeat(10) + '\\n', { add_special_tokens: false });",
      'const { embeddings } = await model({ ...question, ...one });',
      '// Late interaction: for each vector of the question the best match on the page, added up.',
      'const [queries, patches] = [embeddings.tolist()[0], page.embeddings.tolist()[0]];',
      'const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);',
      'console.log(queries.reduce((sum, q) => sum + Math.max(...patches.map((p) => dot(q, p))), 0));',
    ],
    prompts: [
      `A page is \`<image>Describe the image.\`: the processor writes \`<image>\` as ${imageTokens} tokens, adds \`<bos>\` after them and a newline at the end. A question has no image: \`<bos>\`, the question, ten \`<pad>\` that count as tokens, a newline.`,
      'Give all tokens at once: those after a cache see only what came before. Vectors of padding are 0; leave them out of pages before scoring, as a zero wins over negative matches.',
    ].join(' '),
  };
}
