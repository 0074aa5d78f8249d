import { visible } from '../../ir/text/visible.ts';

/** Paragraphs as one text, those of several lines joined; what is undefined is left out. */
export function paragraphs(parts: readonly (string | readonly string[] | undefined)[]): string {
  const texts = parts.flatMap((part) => (part === undefined ? [] : [typeof part === 'string' ? part : part.join(' ')]));
  return `${texts.join('\n\n')}\n`;
}

/** A list of items, those of several lines joined. */
export function bullets(items: readonly (string | readonly string[])[]): string {
  return items.map((item) => `- ${typeof item === 'string' ? item : item.join(' ')}`).join('\n');
}

/** A block of code; the language is for highlighting. */
export function fence(language: string, lines: readonly string[]): string {
  return `\`\`\`${language}\n${lines.join('\n')}\n\`\`\``;
}

/** A JavaScript string in single quotes, in one line: escapes of what is unseen are JavaScript's. */
export function quoted(text: string): string {
  return `'${visible(text.replaceAll(/[\\']/g, String.raw`\$&`))}'`;
}
