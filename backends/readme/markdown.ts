/** Paragraphs as one text, those of several lines joined; what is undefined is left out. */
export function paragraphs(parts: readonly (string | readonly string[] | undefined)[]): string {
  const texts = parts.flatMap((part) => (part === undefined ? [] : [typeof part === 'string' ? part : part.join(' ')]));
  return `${texts.join('\n\n')}\n`;
}

/** A list of items, those of several lines joined. */
export function bullets(items: readonly (string | readonly string[])[]): string {
  return items.map((item) => `- ${typeof item === 'string' ? item : item.join(' ')}`).join('\n');
}

/** In the font of code. */
export function code(text: string): string {
  return `\`${text}\``;
}

/** A block of code; the language is for highlighting. */
export function fence(language: string, lines: readonly string[]): string {
  return `\`\`\`${language}\n${lines.join('\n')}\n\`\`\``;
}

/** A JavaScript string in single quotes. */
export function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`)}'`;
}
