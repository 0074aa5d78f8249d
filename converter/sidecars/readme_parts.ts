import type { ProgramMetadata } from '../../ir/graph.ts';

/** What the README of every bundle is made of, whichever its backend. */
export interface ReadmeInput {
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
  readonly hasTokenizer: boolean;
  /** The command line that checks the bundle, as a reader would type it. */
  readonly verifyCommand: string;
  /**
   * Sentences for whoever runs the bundle. What tells only where its files came from is in the manifest: like bundles
   * have like files.
   */
  readonly notes: readonly string[];
}

const FORMATS = { huggingface: 'a Hugging Face checkpoint', big_vision: 'a big_vision checkpoint' } as const;

/** By what the bundle was made, and from what. */
export function origin({ tool, source, precision }: ReadmeInput): string {
  return `Made by ${tool.name} ${tool.version} from ${FORMATS[source.format]} (${source.files.map(code).join(', ')}; weights in ${source.dtypes.join(', ')}), in precision ${precision}. manifest.json holds the SHA-256 of every source file and of every file here.`;
}

/** Sizes and ids as a Markdown table. */
export function facts({
  imageTokens,
  imageTokenId,
  vocabSize,
  layers,
  hiddenSize,
  maxPositions,
}: ProgramMetadata): string {
  return [
    '| | |',
    '|---|---|',
    `| image tokens | ${imageTokens} (id ${imageTokenId}) |`,
    `| vocabulary | ${vocabSize} |`,
    `| decoder | ${layers} layers, width ${hiddenSize} |`,
    `| longest sequence | ${maxPositions} tokens |`,
  ].join('\n');
}

/** How to check it, what to know, and whose the weights are: the end of every README. */
export function closing({ verifyCommand, notes }: ReadmeInput): readonly string[] {
  return [
    '## Checking it',
    `\`${verifyCommand}\` runs this bundle and the checkpoint's own arithmetic on the same inputs, and compares them stage by stage.`,
    ...(notes.length > 0 ? ['## Notes', bullets(notes)] : []),
    '## Licence',
    'The weights keep the licence of the checkpoint that they were made from; for PaliGemma those are the Gemma Terms of Use.',
  ];
}

/** Paragraphs as one text; what is undefined is left out. */
export function paragraphs(parts: readonly (string | undefined)[]): string {
  return `${parts.filter((part) => part !== undefined).join('\n\n')}\n`;
}

/** A JavaScript string in single quotes. */
export function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

/** A Markdown list. */
export function bullets(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

/** Markdown of a piece of code within a line. */
export function code(text: string): string {
  return `\`${text}\``;
}

/** A Markdown block of code. */
export function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}
