import { visible } from './visible.ts';

/**
 * A path, or any text, as one word of a POSIX shell's line. What a line cannot show is written as bash and zsh read it:
 * `$'a\nb'`.
 */
export function shellWord(text: string): string {
  if (/^[\w./:=,@%+-]+$/.test(text)) return text;
  if (visible(text) === text) return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const escaped = [...text].map((c) => {
    if (c === '\n') return String.raw`\n`;
    if (c === '\\' || c === "'") return `\\${c}`;
    // bytes, for that is what names of files are
    return visible(c) === c
      ? c
      : [...new TextEncoder().encode(c)].map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join('');
  });
  return `$'${escaped.join('')}'`;
}
