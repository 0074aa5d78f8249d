import type { ModelUse } from '../../../backends/readme/readme_input.ts';
import { VAE_ADDRESS } from './mask_decoder.ts';
import type { ProgramMetadata } from '../../../ir/graph.ts';

const LICENCE = 'for PaliGemma those are the Gemma Terms of Use';

/** What a model of the family is for: answers, or with ColPali's head (arXiv:2407.01449) retrieval. */
export function useOf({ imageSize, retrievalWidth, maskSize }: ProgramMetadata): ModelUse {
  if (retrievalWidth === undefined)
    return {
      kind: 'answers',
      summary: [
        `PaliGemma: reads an image of ${imageSize}x${imageSize} pixels and a prompt,`,
        'and answers in text.',
      ].join(' '),
      examplePrompt: 'caption en',
      maskPrompt: 'segment cat',
      prompts: [
        'Models that were trained on the usual mixture know `caption en`, `detect cat`, `segment cat`,',
        '`answer en where is the cat?`, `ocr`. Boxes are four tokens `<locDDDD>`: y0, x0, y1, x1, from 0000 at one',
        'side of the image to 1023 at the other. An object of `segment` also has 16 tokens `<segDDD>`,',
        maskSize === undefined
          ? `which are codes of a mask. This bundle has no decoder for them: convert with \`--mask-decoder vae-oid.npz\`, which is at <${VAE_ADDRESS}>.`
          : 'of which the mask decoder makes a mask within the box.',
      ].join(' '),
      licence: LICENCE,
    };
  return {
    kind: 'retrieval',
    summary: [
      `ColPali: gives a page, as an image of ${imageSize}x${imageSize} pixels, or a question one vector of`,
      `${retrievalWidth} numbers a token, of length 1 (0 for padding), by which pages are found.`,
      'It is not for answers.',
    ].join(' '),
    pagePrompt: 'Describe the image.',
    question: { start: '<bos>', example: 'Which total is due?', filler: '<pad>', count: 10, end: '\n' },
    prompts: [
      'A question has no image: `<bos>`, the question, ten `<pad>` that count as tokens, a newline.',
      'Give all tokens at once: those after a cache see only what came before.',
      'Vectors of padding are 0; leave them out of pages before scoring, as a zero wins over negative matches.',
    ].join(' '),
    licence: LICENCE,
  };
}
