import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { syntheticCases, type VerifyCase } from '../../verify/cases.ts';
import { VARIANTS, type PaliGemmaConfig } from '../models/paligemma/config.ts';
import { metadataOf } from '../models/paligemma.ts';

const doc = readFileSync('docs/verification.md', 'utf8');

/** Multiplications of all matrices of the decoder, for one token. */
function decoderCost({ text: { layers, width, mlpWidth, heads, kvHeads, headDim } }: PaliGemmaConfig): number {
  return layers * width * (2 * heads * headDim + 2 * kvHeads * headDim + 3 * mlpWidth);
}

/** Of the image tower and the projector, for one picture, without its scores. */
function towerCost({ vision, text }: PaliGemmaConfig): number {
  const { layers, width, mlpWidth, heads, headDim, patchSize, imageSize } = vision;
  const layer = 4 * width * heads * headDim + 2 * width * mlpWidth;
  return (imageSize / patchSize) ** 2 * (3 * patchSize ** 2 * width + layers * layer + width * text.width);
}

interface Cost {
  readonly tokens: number;
  readonly billions: number;
}

/** What a reference computes of a case behind others: what two ask alike once. */
function costOf(each: VerifyCase, before: readonly VerifyCase[], config: PaliGemmaConfig): Cost {
  const [batch, length] = each.inputIds.shape as readonly [number, number];
  const behind = batch * (each.suffixIds!.shape[1]! + each.maxNewTokens - 1);
  const tokens = batch * length + behind;
  const logits = (each.logitsToKeep === 0 ? batch * length : batch * each.logitsToKeep) + behind;
  const pictures = before.some(({ pixelValues }) => pixelValues === each.pixelValues) ? 0 : each.pixelValues.shape[0]!;
  const cost =
    tokens * decoderCost(config) + logits * config.vocabSize * config.text.width + pictures * towerCost(config);
  return { tokens, billions: Math.round(cost / 1e9) };
}

test.each(['paligemma-3b-224', 'paligemma2-3b-224', 'paligemma2-3b-448', 'paligemma2-10b-224'])(
  'docs/verification.md says what the cases of %s cost',
  (variant) => {
    const config = VARIANTS[variant]!;
    const cases = syntheticCases(metadataOf(config));
    const costs = cases.map((each, i) => costOf(each, cases.slice(0, i), config));
    const cells = costs.map(({ tokens, billions }) => `${tokens}, ${billions}`);
    const sum = costs.reduce((all, { billions }) => all + billions, 0);
    expect(doc).toContain(`| ${variant} | ${cells.join(' | ')} | ${sum} |`);
    expect(cases.map(({ name }) => name)).toEqual(['two rows, left-padded', 'last positions', 'one long row']);
  },
);

test('docs/verification.md names every case', () => {
  const { text } = VARIANTS['paligemma-3b-224']!;
  const small = { ...VARIANTS['paligemma-3b-224']!, text: { ...text, layers: 1, width: 64 } };
  for (const { name } of syntheticCases(metadataOf({ ...small, retrievalWidth: 128 })))
    expect(doc).toContain(`| ${name} |`);
});
