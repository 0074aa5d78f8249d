import { markdownCode, markdownText } from '../../ir/text/markdown.ts';
import { bullets } from './markdown.ts';
import type { ReadmeInput } from './readme_input.ts';

/** By what the bundle was made, and from what. */
export function origin({ tool, source, precision, calibration }: ReadmeInput): readonly string[] {
  return [
    `Made by ${tool.name} ${tool.version} from ${source.kind} (${source.files.map(markdownCode).join(', ')};`,
    `weights in ${source.dtypes.join(', ')}), in precision ${precision}.`,
    ...(calibration === undefined ? [] : [`Calibration: ${calibration}`]),
    'manifest.json holds the SHA-256 of every source file and of every file here.',
  ];
}

/** Sizes of the model, as a table. */
export function sizes({ metadata }: ReadmeInput): string {
  const { imageTokens, imageTokenId, vocabSize, layers, hiddenSize, maxPositions } = metadata;
  return [
    '| | |',
    '|---|---|',
    `| image tokens | ${imageTokens} (id ${imageTokenId}) |`,
    `| vocabulary | ${vocabSize} |`,
    `| decoder | ${layers} layers, width ${hiddenSize} |`,
    `| longest sequence | ${maxPositions} tokens |`,
  ].join('\n');
}

/** What a bundle without a tokenizer cannot do (`lack`), and the way out; undefined for one that has it. */
export function missingTokenizer({ hasTokenizer }: ReadmeInput, lack: string): readonly string[] | undefined {
  if (hasTokenizer) return undefined;
  return [
    `**This bundle has no tokenizer**, so ${lack}.`,
    'Convert again with `--tokenizer`, giving the tokenizer.model or the tokenizer.json of the model.',
  ];
}

/** How to check it, what to know, and whose the weights are: the end of every README. */
export function closing({
  verifyCommand,
  verification,
  notes,
  use,
}: ReadmeInput): readonly (string | readonly string[])[] {
  return [
    '## Checking it',
    [
      `${markdownCode(verifyCommand)} runs this bundle and the checkpoint's own arithmetic on the same inputs,`,
      'and compares them stage by stage. When the bundle was made it was compared so:',
    ],
    bullets(verification.map(markdownText)),
    ...(notes.length > 0 ? ['## Notes', bullets(notes.map(markdownText))] : []),
    '## Licence',
    ['The weights keep the licence of the checkpoint that they were made from;', `${use.licence}.`],
  ];
}
